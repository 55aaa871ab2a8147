#pragma once

#include <string.h>

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include <tss2/tss2_esys.h>
#include <tss2/tss2_tctildr.h>

namespace assayer {

using Bytes = std::vector<uint8_t>;

/// A return code of tpm2-tss or of the TPM, whose layer is in bits 16 to 23.
class TpmError : public std::runtime_error {
 public:
  TpmError(const char* command, TSS2_RC rc);
  TSS2_RC rc() const { return rc_; }
  const std::string& command() const { return command_; }

 private:
  TSS2_RC rc_;
  std::string command_;
};

/// A format-one response code without its handle, session or parameter number. Source: Part 2, 6.6.2.
bool IsFormatOne(TSS2_RC rc, TPM2_RC code);

/// Throws TpmError unless `rc` is success.
void Check(const char* command, TSS2_RC rc);

/// Overwrites what it held before it is freed: any output may be a secret.
template <class T>
struct EsysFree {
  void operator()(T* value) const {
    explicit_bzero(value, sizeof(T));
    Esys_Free(value);
  }
};
template <class T>
using EsysPtr = std::unique_ptr<T, EsysFree<T>>;

class Tpm;

/// Owns what the TPM holds for us: flushed on every exit.
class Handle {
 public:
  enum class Kind {
    loaded,    ///< a transient object or a session: flushed
    reference  ///< a persistent object or an NV index: forgotten, it stays in the TPM
  };
  Handle(Tpm& tpm, ESYS_TR handle, Kind kind = Kind::loaded) : tpm_(&tpm), handle_(handle), kind_(kind) {}
  Handle(Handle&& other) noexcept : tpm_(other.tpm_), handle_(other.handle_), kind_(other.kind_) {
    other.handle_ = ESYS_TR_NONE;
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  Handle& operator=(Handle&&) = delete;
  ~Handle();
  ESYS_TR get() const { return handle_; }
  Kind kind() const { return kind_; }

 private:
  Tpm* tpm_;
  ESYS_TR handle_;
  Kind kind_;
};

/// One ESYS context over one TCTI. Used by one thread at a time.
class Tpm {
 public:
  explicit Tpm(const std::string& tcti);
  ~Tpm();
  Tpm(const Tpm&) = delete;
  Tpm& operator=(const Tpm&) = delete;

  ESYS_CONTEXT* esys() const { return esys_; }

  /// Runs a command, again while the TPM answers "retry", "yielded" or "testing" (Part 2, 6.6.3), at most for some
  /// seconds: ESYS itself resubmits five times without a pause.
  template <class Command>
  void Run(const char* name, Command command) {
    Check(name, Resubmit(command));
  }
  template <class Command>
  TSS2_RC Resubmit(Command command) {
    for (unsigned attempt = 0;; attempt++) {
      const TSS2_RC rc = command();
      if (!IsTransientFailure(rc) || attempt == kMaxResubmissions) return rc;
      Pause(attempt);
    }
  }

  /// Keeps a handle until Release() or the end of the context; the number names it for the other side.
  uint32_t Keep(Handle handle);
  /// Throws std::invalid_argument on a number that Keep() did not give, or that was released.
  const Handle& Kept(uint32_t id) const;
  void Release(uint32_t id);
  /// Notes that a kept key has an auth value, which commands have to prove.
  void KeepAuth(uint32_t id) { withAuth_.insert(id); }
  bool HasAuth(uint32_t id) const { return withAuth_.contains(id); }

 private:
  static constexpr unsigned kMaxResubmissions = 20;
  static bool IsTransientFailure(TSS2_RC rc);
  static void Pause(unsigned attempt);

  TSS2_TCTI_CONTEXT* tcti_ = nullptr;
  ESYS_CONTEXT* esys_ = nullptr;
  std::map<uint32_t, Handle> kept_;
  std::set<uint32_t> withAuth_;
  uint32_t nextId_ = 1;
};

}  // namespace assayer
