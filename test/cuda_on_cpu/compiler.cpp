/** Compiles CUDA C for the CPU with g++: one shared library per source, kept in a cache. */
#include <dlfcn.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <set>
#include <sstream>

#include "library.h"
#include "signatures.h"

extern char **environ;

namespace cuda_on_cpu {
namespace {

const char *const FLAGS[] = {
    "-std=c++17", "-O1", "-march=native", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math",
    "-fno-exceptions", "-fno-rtti", "-fno-asynchronous-unwind-tables", "-fvisibility=hidden", "-fPIC", "-shared",
    "-pipe", "-w",
#ifdef __SANITIZE_ADDRESS__
    "-g", "-fsanitize=address,undefined", "-fno-sanitize=vptr,float-divide-by-zero", "-fno-sanitize-recover=all",
#endif
};
/** Traps if an access is not aligned; slows the compiler down, so only sources with vector types have it. */
const char *const ALIGNMENT_FLAGS[] = {"-fsanitize=alignment", "-fsanitize-undefined-trap-on-error"};
const char *const VECTOR_TYPES[] = {"float2", "float4", "int2", "int4", "uint2", "uint4", "ushort2", "ushort4", "uchar4"};

/** The folder of this library, with its headers. */
std::string library_folder() {
  static const char anchor = 0;
  Dl_info info;
  if (!dladdr(&anchor, &info)) refuse(UNKNOWN, "the library cannot find its own file");
  const std::string path = info.dli_fname;
  return path.substr(0, path.rfind('/'));
}

std::string read_file(const std::string &path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

/** The line of /proc/cpuinfo with the instruction sets, since -march=native compiles for them. */
std::string processor() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("flags", 0) == 0 || line.rfind("Features", 0) == 0) return line;
  }
  return "";
}

uint64_t hash(const std::string &text, uint64_t start) {
  uint64_t value = start;
  for (const unsigned char c : text) value = (value ^ c) * 0x100000001b3;
  return value;
}

/** What all sources of this library share in their hash. */
const std::string &environment() {
  static const std::string text = [] {
    std::string all = processor() + read_file(library_folder() + "/cuda_on_cpu.h") +
                      read_file(library_folder() + "/kernel_interface.h");
    for (const char *flag : FLAGS) all += flag;
    return all;
  }();
  return text;
}

bool exists(const std::string &path) { return access(path.c_str(), R_OK) == 0; }

/** The environment without LD_PRELOAD, which would slow g++ down in runs with sanitizers. */
std::vector<char *> compiler_environment() {
  std::vector<char *> variables;
  for (char **variable = environ; *variable; variable++) {
    if (strncmp(*variable, "LD_PRELOAD=", 11) != 0) variables.push_back(*variable);
  }
  variables.push_back(nullptr);
  return variables;
}

/** Runs a program with its messages in a file; returns its exit status, -1 without. */
int run_program(const std::vector<std::string> &arguments, const std::string &log) {
  std::vector<char *> pointers;
  for (const auto &argument : arguments) pointers.push_back(const_cast<char *>(argument.c_str()));
  pointers.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 2, log.c_str(), O_CREAT | O_WRONLY | O_TRUNC, 0644);
  posix_spawn_file_actions_adddup2(&actions, 2, 1);
  pid_t child;
  const int failure = posix_spawnp(&child, pointers[0], &actions, nullptr, pointers.data(), compiler_environment().data());
  posix_spawn_file_actions_destroy(&actions);
  if (failure) return -1;
  int status;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return -1;
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

std::vector<std::string> command(const std::string &text, const std::string &source, const std::string &output) {
  std::vector<std::string> arguments = {"g++"};
  arguments.insert(arguments.end(), std::begin(FLAGS), std::end(FLAGS));
#ifndef __SANITIZE_ADDRESS__
  for (const char *type : VECTOR_TYPES) {
    if (text.find(type) == std::string::npos) continue;
    arguments.insert(arguments.end(), std::begin(ALIGNMENT_FLAGS), std::end(ALIGNMENT_FLAGS));
    break;
  }
#endif
  arguments.insert(arguments.end(), {"-I" + library_folder(), "-o", output, source});
  return arguments;
}

/** A name that no other process uses. */
std::string temporary_path(const std::string &folder) {
  static unsigned count = 0;
  return format("%s/.%d-%u", folder.c_str(), (int)getpid(), count++);
}

}  // namespace

Compilation compile_kernels(const std::string &source, const std::string &name) {
  const std::string folder = library_folder() + "/../kernels";
  mkdir(folder.c_str(), 0777);
  const std::string key = environment() + name + source + (settings.is_idle ? "idle" : "");
  const std::string path = format("%s/%016llx%016llx.so", folder.c_str(), (unsigned long long)hash(key, 0xcbf29ce484222325),
                                  (unsigned long long)hash(key, 0x9e3779b97f4a7c15));
  if (exists(path)) return {true, path, ""};
  std::string text;
  try {
    text = with_descriptions(source, name);
  } catch (const Refusal &refusal) {
    return {false, "", name + ": " + refusal.problem + "\n"};
  }
  const std::string temporary = temporary_path(folder);
  const std::string input = temporary + ".cpp", output = temporary + ".so", log = temporary + ".log";
  std::ofstream(input) << text;
  counters.compilations++;
  const int status = run_program(command(source, input, output), log);
  const std::string messages = status < 0 ? "g++ cannot be run\n" : read_file(log);
  // Another process may have compiled the same source; its library is as good.
  const bool succeeded = status == 0 && rename(output.c_str(), path.c_str()) == 0;
  unlink(input.c_str());
  unlink(log.c_str());
  if (!succeeded) unlink(output.c_str());
  return {succeeded, path, messages};
}

}  // namespace cuda_on_cpu
