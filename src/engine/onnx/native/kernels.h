/** @file The kernels of the library. */
#pragma once
#include "kernel.h"

Compute product;
Compute adam_update;
