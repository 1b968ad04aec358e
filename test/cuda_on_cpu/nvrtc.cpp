/** libnvrtc: keeps a source, compiles it with g++, and gives an image that the stand-in for the driver loads. */
#include <algorithm>

#include "library.h"

namespace cuda_on_cpu {
namespace {

enum NvrtcCode { PROGRAM_CREATION_FAILURE = 2, INVALID_INPUT = 3, INVALID_PROGRAM = 4, INVALID_OPTION = 5, COMPILATION = 6 };

const char *const RESULT_NAMES[] = {
    "NVRTC_SUCCESS",
    "NVRTC_ERROR_OUT_OF_MEMORY",
    "NVRTC_ERROR_PROGRAM_CREATION_FAILURE",
    "NVRTC_ERROR_INVALID_INPUT",
    "NVRTC_ERROR_INVALID_PROGRAM",
    "NVRTC_ERROR_INVALID_OPTION",
    "NVRTC_ERROR_COMPILATION",
    "NVRTC_ERROR_BUILTIN_OPERATION_FAILURE",
    "NVRTC_ERROR_NO_NAME_EXPRESSIONS_AFTER_COMPILATION",
    "NVRTC_ERROR_NO_LOWERED_NAMES_BEFORE_COMPILATION",
    "NVRTC_ERROR_NAME_EXPRESSION_NOT_VALID",
    "NVRTC_ERROR_INTERNAL_ERROR",
};

/** Those of NVRTC 13.0. */
const int ARCHITECTURES[] = {75, 80, 86, 87, 88, 89, 90, 100, 103, 110, 120, 121};

/** Options without a value that are accepted and ignored. */
const char *const PLAIN_OPTIONS[] = {"minimal", "default-device", "device-as-default-execution-space", "lineinfo",
                                     "generate-line-info", "use_fast_math", "restrict", "w", "disable-warnings"};
/** Options with a value that are accepted and ignored. */
const char *const VALUE_OPTIONS[] = {"std", "maxrregcount", "ptxas-options", "split-compile"};
const char *const BOOLEAN_OPTIONS[] = {"fmad", "ftz", "prec-div", "prec-sqrt"};

struct Program {
  std::string source, name, log, image;
  bool is_compiled = false;
};

Handles<Program> programs("program", 0x60000000);

template <size_t N> bool is_one_of(const std::string &text, const char *const (&list)[N]) {
  return std::any_of(list, list + N, [&](const char *entry) { return text == entry; });
}

/** The architecture that an option names, 0 if it names only PTX. */
int architecture_of(const std::string &value) {
  for (const int architecture : ARCHITECTURES) {
    if (value == format("sm_%d", architecture)) return architecture;
    if (value == format("compute_%d", architecture)) return 0;
  }
  throw Refusal{INVALID_OPTION, "nvrtc: error: invalid value for --gpu-architecture (-arch)\n"};
}

struct Option {
  std::string name, value;
  bool has_value;
};

Option split_option(const std::string &text) {
  const size_t begin = std::min(text.find_first_not_of('-'), text.size());
  const size_t equals = text.find('=');
  if (begin == 0 || begin > 2) return {"", "", false};
  if (equals == std::string::npos) return {text.substr(begin), "", false};
  return {text.substr(begin, equals - begin), text.substr(equals + 1), true};
}

/** Reads the options; gives the architecture of the cubin, 0 for none. */
int read_options(int count, const char *const *options) {
  int architecture = 0;
  for (int i = 0; i < count; i++) {
    Option option = split_option(options[i]);
    if (option.name == "arch" || option.name == "gpu-architecture") {
      if (!option.has_value && i + 1 < count) option.value = options[++i];
      architecture = architecture_of(option.value);
    } else if (is_one_of(option.name, BOOLEAN_OPTIONS)) {
      if (option.value == "true" || option.value == "false") continue;
      throw Refusal{INVALID_OPTION, format("nvrtc: error: --%s (-%s) expects true or false\n", option.name.c_str(),
                                           option.name.c_str())};
    } else if (!(option.has_value ? is_one_of(option.name, VALUE_OPTIONS) : is_one_of(option.name, PLAIN_OPTIONS))) {
      throw Refusal{INVALID_OPTION, format("nvrtc: error: unrecognized option %s found\n", options[i])};
    }
  }
  return architecture;
}

Program &program_of(void *handle) { return *programs.get(handle, INVALID_PROGRAM); }

void compile(Program &program, int option_count, const char *const *options) {
  try {
    const int architecture = read_options(option_count, options);
    const Compilation compilation = compile_kernels(program.source, program.name);
    program.log = compilation.log;
    if (!compilation.succeeded) throw Refusal{COMPILATION, compilation.log};
    if (architecture) program.image = make_image(architecture, program.name, program.source);
    program.is_compiled = true;
  } catch (const Refusal &refusal) {
    program.log = refusal.problem;
    throw;
  }
}

}  // namespace
}  // namespace cuda_on_cpu

using namespace cuda_on_cpu;

EXPORTED int nvrtcVersion(int *major, int *minor) {
  return call(__func__, [&] {
    if (!major || !minor) refuse(INVALID_INPUT, "a result is null");
    *major = 13;
    *minor = 0;
  });
}

EXPORTED int nvrtcGetNumSupportedArchs(int *count) {
  return call(__func__, [&] {
    if (!count) refuse(INVALID_INPUT, "the result is null");
    *count = sizeof ARCHITECTURES / sizeof *ARCHITECTURES;
  });
}

EXPORTED int nvrtcGetSupportedArchs(int *architectures) {
  return call(__func__, [&] {
    if (!architectures) refuse(INVALID_INPUT, "the result is null");
    std::copy(std::begin(ARCHITECTURES), std::end(ARCHITECTURES), architectures);
  });
}

EXPORTED const char *nvrtcGetErrorString(int result) {
  const int known = sizeof RESULT_NAMES / sizeof *RESULT_NAMES;
  return result >= 0 && result < known ? RESULT_NAMES[result] : "NVRTC_ERROR unknown";
}

EXPORTED int nvrtcCreateProgram(void **program, const char *source, const char *name, int header_count,
                                const char *const *, const char *const *) {
  return call(__func__, [&] {
    if (!program || !source || header_count < 0) refuse(INVALID_INPUT, "the result or the source is null");
    if (header_count) refuse(INVALID_INPUT, "the stand-in takes no headers");
    const auto made = std::make_shared<Program>();
    made->source = source;
    made->name = name && *name ? name : "default_program";
    *program = programs.add(made);
  });
}

EXPORTED int nvrtcCompileProgram(void *program, int option_count, const char *const *options) {
  return call(__func__, [&] { compile(program_of(program), option_count, options); });
}

EXPORTED int nvrtcGetProgramLogSize(void *program, size_t *bytes) {
  return call(__func__, [&] {
    if (!bytes) refuse(INVALID_INPUT, "the result is null");
    *bytes = program_of(program).log.size() + 1;
  });
}

EXPORTED int nvrtcGetProgramLog(void *program, char *log) {
  return call(__func__, [&] {
    if (!log) refuse(INVALID_INPUT, "the result is null");
    const std::string &text = program_of(program).log;
    memcpy(log, text.c_str(), text.size() + 1);
  });
}

/** 0 bytes if the program is not compiled, or not for a real architecture. */
EXPORTED int nvrtcGetCUBINSize(void *program, size_t *bytes) {
  return call(__func__, [&] {
    if (!bytes) refuse(INVALID_INPUT, "the result is null");
    *bytes = program_of(program).image.size();
  });
}

EXPORTED int nvrtcGetCUBIN(void *program, char *image) {
  return call(__func__, [&] {
    if (!image) refuse(INVALID_INPUT, "the result is null");
    const Program &compiled = program_of(program);
    memcpy(image, compiled.image.data(), compiled.image.size());
  });
}

EXPORTED int nvrtcDestroyProgram(void **program) {
  return call(__func__, [&] {
    if (!program) refuse(INVALID_PROGRAM, "the program is null");
    programs.destroy(*program, INVALID_PROGRAM);
    *program = nullptr;
  });
}
