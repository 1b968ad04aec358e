/** @file Other programs whose configurations are taken for ours, each with keys that it has and we do not. */

/** A kind of file that is not a configuration of STMixer. */
export interface Program {
  /** What the file is, e.g. "a configuration of PySlowFast". */
  readonly what: string;
  /** Full paths of keys or sections. */
  readonly markers: readonly string[];
  /** Number of markers that a file must have. The default is 2. */
  readonly enough?: number;
  /** What the file can be used for, as advice. */
  readonly use?: string;
}

const words = (text: string): string[] => text.trim().split(/\s+/);

const CLASS_NAMES = 'class names belong in the label map, which AVA.LABEL_MAP_FILE names';

export const PROGRAMS: readonly Program[] = [
  {
    what: 'a configuration of PySlowFast',
    markers:
      words(`TRAIN.ENABLE TRAIN.DATASET TRAIN.BATCH_SIZE TRAIN.CHECKPOINT_TYPE TRAIN.CHECKPOINT_FILE_PATH TRAIN.AUTO_RESUME
      TRAIN.EVAL_PERIOD TRAIN.CHECKPOINT_PERIOD TEST.ENABLE TEST.DATASET TEST.BATCH_SIZE DATA.PATH_PREFIX DATA.TRAIN_JITTER_SCALES
      DATA.TRAIN_CROP_SIZE DATA.TEST_CROP_SIZE DETECTION.ENABLE DETECTION.ALIGNED MODEL.ARCH MODEL.NUM_CLASSES MODEL.MODEL_NAME DATA.INPUT_CHANNEL_NUM
      DATA.TRAIN_JITTER_SCALES_RELATIVE DATA.MEAN DATA.STD DATA.TARGET_FPS MODEL.LOSS_FUNC
      MODEL.HEAD_ACT DATA_LOADER BN NUM_GPUS NUM_SHARDS RNG_SEED MVIT X3D TENSORBOARD DEMO AUG MIXUP MULTIGRID CONTRASTIVE
      AVA.DETECTION_SCORE_THRESH AVA.FULL_TEST_ON_VAL SOLVER.LR_POLICY SOLVER.BASE_LR_SCALE_NUM_SHARDS`),
  },
  {
    what: 'a configuration of AlphAction, or of a program that was made from it',
    markers: words(`MODEL.ROI_ACTION_HEAD MODEL.IA_STRUCTURE MODEL.HIT_STRUCTURE IA_STRUCTURE INPUT.FRAME_NUM
      INPUT.FRAME_SAMPLE_RATE INPUT.TAU INPUT.ALPHA INPUT.SLOW_JITTER INPUT.COLOR_JITTER DATASETS.TRAIN DATASETS.TEST
      SOLVER.MAX_ITER SOLVER.WARMUP_ITERS SOLVER.BIAS_LR_FACTOR TEST.BOX_THRESH TEST.ACTION_THRESH`),
  },
  {
    what: 'a configuration of detectron2 or maskrcnn-benchmark',
    markers:
      words(`MODEL.META_ARCHITECTURE MODEL.WEIGHTS MODEL.RESNETS MODEL.ROI_HEADS MODEL.ROI_BOX_HEAD MODEL.RPN
      MODEL.ANCHOR_GENERATOR MODEL.PROPOSAL_GENERATOR MODEL.MASK_ON MODEL.PIXEL_MEAN MODEL.FPN MODEL.DEVICE INPUT.MIN_SIZE_TRAIN
      INPUT.MIN_SIZE_TEST SOLVER.IMS_PER_BATCH SOLVER.MAX_ITER DATASETS.TRAIN DATASETS.TEST VERSION _BASE_ CUDNN_BENCHMARK`),
  },
  {
    what: 'a configuration of YOWO',
    markers:
      words(`WEIGHTS.BACKBONE_3D WEIGHTS.BACKBONE_2D MODEL.BACKBONE_3D MODEL.BACKBONE_2D LISTDATA BACKUP_DIR SOLVER.ANCHORS
      SOLVER.NUM_ANCHORS SOLVER.LR_DECAY_RATE SOLVER.OBJECT_SCALE TRAIN.LEARNING_RATE TRAIN.TOTAL_BATCH_SIZE TRAIN.FINE_TUNE
      TRAIN.BEGIN_EPOCH TRAIN.END_EPOCH TRAIN.RESUME_PATH TRAIN.CLASS_RATIO_FILE backbone2D backbone3D active_checker`),
  },
  {
    what: 'a configuration of mmaction2, mmdetection or another program of OpenMMLab',
    markers:
      words(`_base_ model.backbone.type model.type model.roi_head model.cls_head model.bbox_head train_dataloader
      val_dataloader train_cfg val_cfg test_cfg optim_wrapper default_hooks default_scope dataset_type data_root train_pipeline
      val_pipeline auto_scale_lr custom_hooks custom_imports data_preprocessor evaluation.interval log_level log_processor
      param_scheduler env_cfg dist_params log_config checkpoint_config lr_config optimizer_config work_dir load_from
      resume_from total_epochs workflow ann_file_train visualizer`),
  },
  {
    what: 'a configuration of TubeR or another program of its family',
    markers: words('DDP_CONFIG CONFIG.MODEL CONFIG.DATA CONFIG.TRAIN CONFIG.LOG CONFIG.TWO_STREAM'),
  },
  {
    what: 'the description of a data set for Ultralytics YOLO',
    markers: words('names nc train val test path download channels kpt_shape'),
    use: CLASS_NAMES,
  },
  { what: 'a list of class names', markers: ['names'], enough: 1, use: CLASS_NAMES },
  {
    what: 'a configuration of Ultralytics YOLO',
    markers:
      words(`imgsz epochs batch optimizer.type mosaic close_mosaic warmup_epochs lr0 lrf hsv_h copy_paste save_period agnostic_nms
      nc backbone head depth_multiple width_multiple scales`),
  },
  {
    what: 'the description of a model from Hugging Face (config.json)',
    markers:
      words(`architectures model_type transformers_version torch_dtype hidden_size num_hidden_layers num_attention_heads id2label
      label2id _name_or_path tubelet_size layer_norm_eps`),
    use: 'its weights can be loaded as MODEL.WEIGHT',
  },
  {
    what: 'the description of an image processor from Hugging Face',
    markers: words(
      'image_processor_type feature_extractor_type do_resize do_normalize image_mean image_std do_center_crop crop_size',
    ),
  },
  {
    what: 'an annotation file of COCO (JSON)',
    markers: words('images annotations categories licenses'),
  },
  {
    what: 'a project of the VGG Image Annotator (VIA)',
    markers: words(
      '_via_settings _via_img_metadata _via_attributes _via_data_format_version _via_image_id_list project metadata attribute file view',
    ),
  },
  { what: 'a Jupyter notebook', markers: words('cells nbformat nbformat_minor metadata.kernelspec') },
  {
    what: 'a configuration of DeepSpeed',
    markers: words(
      'train_micro_batch_size_per_gpu zero_optimization train_batch_size gradient_accumulation_steps bf16 fp16',
    ),
  },
  {
    what: 'a file of Weights & Biases',
    markers: words('wandb_version _wandb'),
    enough: 1,
  },
  {
    what: 'a configuration of Hydra or Lightning',
    markers: words('defaults hydra seed_everything trainer datamodule callbacks ckpt_path'),
  },
  { what: 'an environment file of conda', markers: words('channels dependencies prefix name') },
  { what: 'a file of Docker Compose', markers: words('services version volumes networks') },
  { what: 'a package.json', markers: words('devDependencies scripts dependencies version license') },
  {
    what: 'the arguments of a program, as argparse or timm store them',
    markers:
      words(`batch_size lr epochs weight_decay drop_path clip_grad opt sched warmup_lr min_lr model_ema smoothing mixup cutmix
      num_workers local_rank world_size dist_url layer_decay finetune data_path input_size num_frames sampling_rate save_ckpt_freq`),
    enough: 4,
  },
];
