// Native helper of the tensorflow engine: libtensorflow prints notices while it loads that no log level silences, so
// standard error is turned away for that moment.
#include <fcntl.h>
#include <node_api.h>
#include <unistd.h>

static int saved_stderr = -1;

static napi_value MuteStandardError(napi_env, napi_callback_info) {
  if (saved_stderr >= 0) return nullptr;
  const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (nowhere < 0) return nullptr;
  saved_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
  if (saved_stderr >= 0) dup2(nowhere, STDERR_FILENO);
  close(nowhere);
  return nullptr;
}

static napi_value RestoreStandardError(napi_env, napi_callback_info) {
  if (saved_stderr < 0) return nullptr;
  dup2(saved_stderr, STDERR_FILENO);
  close(saved_stderr);
  saved_stderr = -1;
  return nullptr;
}

NAPI_MODULE_INIT() {
  const struct {
    const char *name;
    napi_callback call;
  } functions[] = {{"muteStandardError", MuteStandardError},
                   {"restoreStandardError", RestoreStandardError}};
  for (const auto &function : functions) {
    napi_value value;
    if (napi_create_function(env, function.name, NAPI_AUTO_LENGTH, function.call, nullptr, &value) == napi_ok)
      napi_set_named_property(env, exports, function.name, value);
  }
  return exports;
}
