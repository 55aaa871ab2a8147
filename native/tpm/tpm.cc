#include "tpm.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include <tss2/tss2_rc.h>

namespace assayer {

namespace {

// The resource manager of the kernel and tabrmd pass a TPM's code on in layers of their own.
bool ComesFromTpm(TSS2_RC rc) {
  const TSS2_RC layer = rc & TSS2_RC_LAYER_MASK;
  return layer == TSS2_TPM_RC_LAYER || layer == TSS2_RESMGR_TPM_RC_LAYER;
}

std::string Describe(const char* command, TSS2_RC rc) {
  char number[16];
  snprintf(number, sizeof number, "0x%x", rc);
  return std::string(command) + " failed with " + number + ": " + Tss2_RC_Decode(rc);
}

}  // namespace

TpmError::TpmError(const char* command, TSS2_RC rc)
    : std::runtime_error(Describe(command, rc)), rc_(rc), command_(command) {}

bool IsFormatOne(TSS2_RC rc, TPM2_RC code) {
  constexpr TSS2_RC kCodeMask = TPM2_RC_FMT1 | 0x3f;
  return ComesFromTpm(rc) && (rc & kCodeMask) == code;
}

void Check(const char* command, TSS2_RC rc) {
  if (rc != TSS2_RC_SUCCESS) throw TpmError(command, rc);
}

Handle::~Handle() {
  if (handle_ == ESYS_TR_NONE) return;
  if (kind_ == Kind::loaded) {
    const auto flush = [this] { return Esys_FlushContext(tpm_->esys(), handle_); };
    if (tpm_->Resubmit(flush) == TSS2_RC_SUCCESS) return;
  }
  Esys_TR_Close(tpm_->esys(), &handle_);
}

Tpm::Tpm(const std::string& tcti) {
  Check("Tss2_TctiLdr_Initialize", Tss2_TctiLdr_Initialize(tcti.c_str(), &tcti_));
  const TSS2_RC rc = Esys_Initialize(&esys_, tcti_, nullptr);
  if (rc != TSS2_RC_SUCCESS) {
    Tss2_TctiLdr_Finalize(&tcti_);
    throw TpmError("Esys_Initialize", rc);
  }
}

Tpm::~Tpm() {
  kept_.clear();
  Esys_Finalize(&esys_);
  Tss2_TctiLdr_Finalize(&tcti_);
}

uint32_t Tpm::Keep(Handle handle) {
  const uint32_t id = nextId_++;
  kept_.emplace(id, std::move(handle));
  return id;
}

const Handle& Tpm::Kept(uint32_t id) const {
  const auto found = kept_.find(id);
  if (found == kept_.end()) throw std::invalid_argument("the TPM object is not loaded any more");
  return found->second;
}

void Tpm::Release(uint32_t id) {
  kept_.erase(id);
  withAuth_.erase(id);
}

bool Tpm::IsTransientFailure(TSS2_RC rc) {
  if (!ComesFromTpm(rc)) return false;
  const TSS2_RC code = rc & ~TSS2_RC_LAYER_MASK;
  return code == TPM2_RC_RETRY || code == TPM2_RC_YIELDED || code == TPM2_RC_TESTING;
}

void Tpm::Pause(unsigned attempt) {
  constexpr unsigned kLongestMs = 250;
  std::this_thread::sleep_for(std::chrono::milliseconds(std::min(kLongestMs, 5U << std::min(attempt, 6U))));
}

}  // namespace assayer
