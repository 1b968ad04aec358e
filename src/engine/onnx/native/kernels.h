/** @file The kernels of the library. */
#pragma once
#include "kernel.h"

Compute product;
Compute adam_update;
Compute gelu, gelu_grad, relu_grad;
Compute layer_norm, layer_norm_grad;
Compute column_sums;
Compute sum_of_squares;
Compute weighted_row_sum, weighted_row_sum_grad_weight, weighted_row_sum_grad_table;
Compute conv3d, conv3d_grad_input, conv3d_grad_filter;
Compute batch_norm, batch_norm_grad;
Compute max_pool3d, max_pool3d_grad;
Compute self_attention, self_attention_grad;
