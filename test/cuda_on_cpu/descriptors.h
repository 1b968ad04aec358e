/** cuBLASLt's descriptors: numbered attributes of fixed sizes. */
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace cuda_on_cpu {

/** cublasStatus_t. */
enum CublasCode {
  CUBLAS_NOT_INITIALIZED = 1,
  CUBLAS_INVALID_VALUE = 7,
  CUBLAS_ARCH_MISMATCH = 8,
  CUBLAS_EXECUTION_FAILED = 13,
  CUBLAS_NOT_SUPPORTED = 15,
};

/** An attribute; numbers that a kind of descriptor lacks have 0 bytes. */
struct Attribute {
  unsigned bytes;
  int64_t initial;
};

class Descriptor {
 public:
  explicit Descriptor(const std::vector<Attribute> &attributes);

  /** Fails with CUBLAS_INVALID_VALUE, as the real library does, if the number or the size is wrong; any value is taken. */
  void set(int attribute, const void *value, size_t bytes);
  /** With 0 bytes, tells the size only. */
  void get(int attribute, void *value, size_t bytes, size_t *bytes_written) const;

  int64_t operator[](int attribute) const { return values_[attribute]; }
  void *pointer(int attribute) const { return reinterpret_cast<void *>(values_[attribute]); }
  void assign(int attribute, int64_t value) { values_[attribute] = value; }
  /** Attributes that were changed. */
  std::vector<int> changed() const;

 private:
  unsigned bytes_of(int attribute) const;

  const std::vector<Attribute> &attributes_;
  std::vector<int64_t> values_;
};

// cublasLtMatmulDescAttributes_t, cublasLtMatrixLayoutAttribute_t, cublasLtMatmulPreferenceAttributes_t.
enum MatmulAttribute {
  COMPUTE_TYPE = 0,
  SCALE_TYPE = 1,
  POINTER_MODE = 2,
  TRANSA = 3,
  TRANSB = 4,
  TRANSC = 5,
  FILL_MODE = 6,
  EPILOGUE = 7,
  BIAS_POINTER = 8,
  BIAS_BATCH_STRIDE = 10,
  SM_COUNT_TARGET = 15,
  FAST_ACCUM = 25,
  BIAS_DATA_TYPE = 26,
};
enum LayoutAttribute { TYPE, ORDER, ROWS, COLS, LD, BATCH_COUNT, STRIDED_BATCH_OFFSET, PLANE_OFFSET, BATCH_MODE };
enum PreferenceAttribute { SEARCH_MODE = 0, MAX_WORKSPACE_BYTES = 1 };

/** The descriptors behind the handles; fail with CUBLAS_INVALID_VALUE if there is none. */
std::shared_ptr<Descriptor> matmul_descriptor(const void *handle);
std::shared_ptr<Descriptor> layout_descriptor(const void *handle);
std::shared_ptr<Descriptor> preference_descriptor(const void *handle);

}  // namespace cuda_on_cpu
