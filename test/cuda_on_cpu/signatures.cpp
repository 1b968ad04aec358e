/** Finds the kernels of a CUDA source, and writes their descriptions. */
#include "signatures.h"

#include <algorithm>
#include <cctype>
#include <set>

#include "library.h"

namespace cuda_on_cpu {
namespace {

/** A definition or declaration at the top level of a source, or a line of the preprocessor. */
struct Part {
  size_t begin, end;
  /** The function or macro that it defines; empty if it defines none. */
  std::string name;
  bool is_kernel;
};

struct KernelSignature {
  std::string name;
  unsigned launch_bounds;
  /** Types of the parameters. */
  std::vector<std::string> types;
};

bool is_word(char c) { return isalnum((unsigned char)c) || c == '_'; }

/** The source with blanks for comments and texts; places stay the same. */
std::string without_comments(const std::string &source) {
  std::string text = source;
  for (size_t i = 0; i < text.size(); i++) {
    size_t end = i;
    if (text.compare(i, 2, "//") == 0) end = std::min(text.find('\n', i), text.size());
    else if (text.compare(i, 2, "/*") == 0) end = std::min(text.find("*/", i + 2), text.size() - 2) + 2;
    for (; i < end; i++) {
      if (text[i] != '\n') text[i] = ' ';
    }
  }
  return text;
}

/** The words of a text. */
std::set<std::string> words_of(const std::string &text) {
  std::set<std::string> words;
  for (size_t i = 0; i < text.size();) {
    size_t end = i;
    while (end < text.size() && is_word(text[end])) end++;
    if (end > i) words.insert(text.substr(i, end - i));
    i = end + 1;
  }
  return words;
}

/** The last name before a parenthesis outside of others: that of a function in its head. */
std::string function_name(const std::string &head) {
  std::string name;
  int depth = 0;
  for (size_t i = 0; i < head.size(); i++) {
    if (head[i] == '(' && depth++ == 0) {
      size_t end = i;
      while (end > 0 && isspace((unsigned char)head[end - 1])) end--;
      size_t begin = end;
      while (begin > 0 && is_word(head[begin - 1])) begin--;
      if (end > begin) name = head.substr(begin, end - begin);
    }
    if (head[i] == ')') depth--;
  }
  return name;
}

/** The end of a line of the preprocessor, with its continuations. */
size_t end_of_directive(const std::string &text, size_t begin) {
  size_t end = begin;
  do end = std::min(text.find('\n', end + 1), text.size());
  while (end < text.size() && text[end - 1] == '\\');
  return end;
}

/** Reads the parts of a text one after the other, with blanks between them. */
class Reader {
 public:
  explicit Reader(const std::string &text) : text_(text) {}

  /** Passes a text if it comes next. */
  bool pass(const std::string &expected) {
    skip_blanks();
    if (text_.compare(place_, expected.size(), expected) != 0) return false;
    place_ += expected.size();
    return true;
  }

  /** The word that comes next; empty if there is none. */
  std::string word() {
    skip_blanks();
    return until([](char c) { return !is_word(c); });
  }

  /** What comes before a character, which is not passed. */
  std::string before(char end) {
    return until([end](char c) { return c == end; });
  }

 private:
  void skip_blanks() {
    until([](char c) { return !isspace((unsigned char)c); });
  }

  template <class IsEnd> std::string until(IsEnd is_end) {
    const size_t begin = place_;
    while (place_ < text_.size() && !is_end(text_[place_])) place_++;
    return text_.substr(begin, place_ - begin);
  }

  const std::string &text_;
  size_t place_ = 0;
};

/** A line of the preprocessor. NVRTC has no files that it could include. */
Part directive_part(const std::string &text, size_t begin, size_t end) {
  const std::string line = text.substr(begin, end - begin);
  Reader reader(line);
  reader.pass("#");
  const std::string directive = reader.word();
  if (directive == "include") refuse(6, "could not open a source file (no directories in search list): %s", line.c_str());
  return {begin, end, directive == "define" ? reader.word() : "", false};
}

/** Cuts a source without comments at its top level. */
std::vector<Part> parts_of(const std::string &text) {
  std::vector<Part> parts;
  size_t i = 0;
  while (true) {
    while (i < text.size() && isspace((unsigned char)text[i])) i++;
    if (i >= text.size()) return parts;
    const size_t begin = i;
    if (text[i] == '#') {
      i = end_of_directive(text, i);
      parts.push_back(directive_part(text, begin, i));
      continue;
    }
    size_t brace = std::string::npos;
    for (int depth = 0; i < text.size(); i++) {
      if (text[i] == '{' && depth++ == 0 && brace == std::string::npos) brace = i;
      if (text[i] == '}' && --depth == 0) break;
      if (text[i] == ';' && depth == 0) break;
    }
    i = std::min(i + 1, text.size());
    const std::string head = text.substr(begin, std::min(brace, i) - begin);
    const bool is_kernel = words_of(head).count("__global__") > 0;
    parts.push_back({begin, i, brace == std::string::npos ? "" : function_name(head), is_kernel});
  }
}

/** Names of functions and macros that wait for other threads, themselves or through others. */
std::set<std::string> waiting_names(const std::string &text, const std::vector<Part> &parts) {
  std::set<std::string> waiting = {"__syncthreads", "__syncwarp", "__shfl_sync",
                                   "__shfl_xor_sync", "__shfl_down_sync", "__shfl_up_sync"};
  for (size_t before = 0; before != waiting.size();) {
    before = waiting.size();
    for (const Part &part : parts) {
      if (part.name.empty() || waiting.count(part.name)) continue;
      const auto words = words_of(text.substr(part.begin, part.end - part.begin));
      const bool waits = std::any_of(words.begin(), words.end(), [&](const auto &w) { return waiting.count(w) > 0; });
      if (waits) waiting.insert(part.name);
    }
  }
  return waiting;
}

/** `const float *__restrict__ x` → `const float *__restrict__`. */
std::string type_of_parameter(const std::string &parameter) {
  size_t end = parameter.find_last_not_of(" \t\n") + 1;
  while (end > 0 && is_word(parameter[end - 1])) end--;
  return parameter.substr(0, end);
}

std::vector<std::string> types_of_parameters(const std::string &parameters) {
  std::vector<std::string> types;
  if (parameters.find_first_not_of(" \t\n") == std::string::npos) return types;
  for (size_t begin = 0; begin <= parameters.size();) {
    const size_t end = std::min(parameters.find(',', begin), parameters.size());
    types.push_back(type_of_parameter(parameters.substr(begin, end - begin)));
    begin = end + 1;
  }
  return types;
}

KernelSignature signature_of(const std::string &definition) {
  Reader reader(definition);
  KernelSignature kernel;
  std::string bounds, parameters;
  const auto passes = [&](std::initializer_list<const char *> texts) {
    return std::all_of(texts.begin(), texts.end(), [&](const char *text) { return reader.pass(text); });
  };
  bool is_well_formed = passes({"extern", "\"C\"", "__global__", "void", "__launch_bounds__", "("});
  if (is_well_formed) bounds = reader.word();
  is_well_formed = is_well_formed && passes({")"});
  if (is_well_formed) kernel.name = reader.word();
  is_well_formed = is_well_formed && passes({"("});
  if (is_well_formed) parameters = reader.before(')');
  is_well_formed = is_well_formed && passes({")", "{"}) && !kernel.name.empty();
  kernel.launch_bounds = (unsigned)strtoul(bounds.c_str(), nullptr, 10);
  if (!is_well_formed || kernel.launch_bounds == 0) {
    refuse(6, "a kernel needs the form extern \"C\" __global__ void __launch_bounds__(N) name(arguments) {, not: %s",
           definition.substr(0, 200).c_str());
  }
  kernel.types = types_of_parameters(parameters);
  return kernel;
}

const char *const PLAIN_SHARED = "#undef __shared__\n#define __shared__ static\n";

/** Shared memory of a kernel lies in a section of its own, so that it can be measured and filled. */
std::string shared_section(const std::string &kernel) {
#ifdef __SANITIZE_ADDRESS__
  (void)kernel;
  return PLAIN_SHARED;
#else
  return "#undef __shared__\n#define __shared__ static __attribute__((section(\"shared_" + kernel + "\")))\n";
#endif
}

std::string line_directive(const std::string &source, size_t place, const std::string &name) {
  const auto line = 1 + std::count(source.begin(), source.begin() + place, '\n');
  return format("\n#line %ld \"%s\"\n", (long)line, name.c_str());
}

/** The function that the library calls, for a block or for one thread. */
std::string entry_of(const KernelSignature &kernel, bool waits) {
  std::string names, values;
  for (size_t i = 0; i < kernel.types.size(); i++) {
    values += format("  const auto a%zu = *(T%zu const *)(arguments + parameters[%zu].offset);\n", i, i, i);
    names += format("%sa%zu", i ? ", " : "", i);
  }
  if (waits) {
    return "void run(const Place &place, unsigned thread, const char *arguments) {\n" + values +
           "  set_block(place);\n  set_thread(place, thread);\n  " + kernel.name + "(" + names + ");\n}\n";
  }
  return "void run(const Place &place, const char *arguments) {\n" + values + "  run_threads(place, [&] { " +
         kernel.name + "(" + names + "); });\n}\n";
}

std::string description_of(const KernelSignature &kernel, bool waits) {
  const char *name = kernel.name.c_str();
  std::string text = format("namespace describe_%s {\n", name);
  std::string rows, previous = "0";
  for (size_t i = 0; i < kernel.types.size(); i++) {
    const bool is_pointer = kernel.types[i].find('*') != std::string::npos;
    text += format("using T%zu = ", i) + kernel.types[i] + ";\n";
    text += format("constexpr unsigned offset%zu = (%s + alignof(T%zu) - 1) / alignof(T%zu) * alignof(T%zu);\n", i,
                   previous.c_str(), i, i, i);
    rows += format("  {sizeof(T%zu), alignof(T%zu), offset%zu, %s},\n", i, i, i, is_pointer ? "true" : "false");
    previous = format("(offset%zu + sizeof(T%zu))", i, i);
  }
  text += "static constexpr Parameter parameters[] = {\n" + rows + "  {0, 1, 0, false}};\n";
  text += "static " + entry_of(kernel, waits) + "}\n";
  const std::string section = "shared_" + kernel.name;
#ifdef __SANITIZE_ADDRESS__
  const std::string range = "nullptr, nullptr";
#else
  text += "extern \"C\" __attribute__((weak, visibility(\"hidden\"))) char __start_" + section + "[], __stop_" +
          section + "[];\n";
  const std::string range = "__start_" + section + ", __stop_" + section;
#endif
  text += format("extern \"C\" { __attribute__((visibility(\"default\"))) extern const Kernel cuda_on_cpu_kernel_%s;\n", name);
  text += format("const Kernel cuda_on_cpu_kernel_%s = {\"%s\", %u, describe_%s::parameters, %zu, ", name, name,
                 kernel.launch_bounds, name, kernel.types.size());
  const std::string run = format("describe_%s::run", name);
  return text + range + ", " + (waits ? "nullptr, " + run : run + ", nullptr") + "}; }\n";
}

/** A kernel, without its body if nothing is to be computed. */
std::string definition_of(const std::string &kernel) {
  return settings.is_idle ? kernel.substr(0, kernel.find('{')) + "{}" : kernel;
}

}  // namespace

std::string with_descriptions(const std::string &source, const std::string &name) {
  const std::string text = without_comments(source);
  const auto parts = parts_of(text);
  const auto waiting = waiting_names(text, parts);
  std::string result = std::string("#include \"cuda_on_cpu.h\"\n") + PLAIN_SHARED, descriptions;
  size_t copied = 0;
  result += line_directive(source, 0, name);
  for (const Part &part : parts) {
    if (!part.is_kernel || part.name.empty()) continue;
    const KernelSignature kernel = signature_of(text.substr(part.begin, part.end - part.begin));
    result += source.substr(copied, part.begin - copied) + "\n" + shared_section(kernel.name);
    result += line_directive(source, part.begin, name) + definition_of(source.substr(part.begin, part.end - part.begin)) + "\n";
    result += PLAIN_SHARED + line_directive(source, part.end, name);
    copied = part.end;
    descriptions += description_of(kernel, waiting.count(kernel.name) > 0);
  }
  result += source.substr(copied);
  return result + "\nnamespace cuda_on_cpu {\n" + descriptions + "}\n";
}

}  // namespace cuda_on_cpu
