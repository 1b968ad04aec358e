/** Finds the kernels of a CUDA source, and describes them to the library. */
#pragma once

#include <string>

namespace cuda_on_cpu {

/**
 * The source with everything that g++ needs around it: the declarations of CUDA C before it, and a description of each kernel
 * (kernel_interface.h) behind it. Throws Refusal if a kernel does not have the form
 * `extern "C" __global__ void __launch_bounds__(N) name(arguments) {`.
 */
std::string with_descriptions(const std::string &source, const std::string &name);

}  // namespace cuda_on_cpu
