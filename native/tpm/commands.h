#pragma once

#include <optional>
#include <utility>

#include "tpm.h"

namespace assayer {

/// TPM structures cross this boundary marshalled, as Part 2 lays them out; nothing here chooses a value.

/// Bytes that are overwritten when they go.
class SecretBytes {
 public:
  SecretBytes() = default;
  explicit SecretBytes(Bytes bytes) : bytes_(std::move(bytes)) {}
  SecretBytes(SecretBytes&&) = default;
  SecretBytes& operator=(SecretBytes&& other) noexcept {
    bytes_.swap(other.bytes_);
    return *this;
  }
  SecretBytes(const SecretBytes&) = delete;
  SecretBytes& operator=(const SecretBytes&) = delete;
  ~SecretBytes() { explicit_bzero(bytes_.data(), bytes_.size()); }
  const Bytes& get() const { return bytes_; }

 private:
  Bytes bytes_;
};

struct LoadedKey {
  uint32_t id;             ///< for Tpm::Kept()
  TPM2_HANDLE handle;      ///< the TPM's own number
  Bytes publicArea;        ///< TPM2B_PUBLIC
  Bytes name;              ///< nameAlg and digest
};

struct PcrValue {
  TPM2_ALG_ID hash;
  uint8_t index;
  Bytes digest;
};

struct Quote {
  Bytes attest;     ///< TPMS_ATTEST
  Bytes signature;  ///< TPMT_SIGNATURE
};

/// What TPM2_Certify gives: the same two structures.
using Certification = Quote;

/// A key outside of the TPM, which only its parent can load.
struct WrappedKey {
  Bytes publicArea;   ///< TPM2B_PUBLIC
  Bytes privateArea;  ///< TPM2B_PRIVATE
};

/// How the EK authorizes its use as a parent and in ActivateCredential. Source: EK Credential Profile 2.5, B.6.
enum class EkAuth {
  policySecret,  ///< low range: PolicySecret of the endorsement hierarchy
  password       ///< high range: user auth, which is empty
};

/// TPM2_GetCapability(TPM_PROPERTIES) from `first` on, `count` of them at most.
std::vector<std::pair<uint32_t, uint32_t>> ReadProperties(Tpm& tpm, uint32_t first, uint32_t count);

/// TPM2_GetCapability(ALGS) as TPML_ALG_PROPERTY.
Bytes ReadAlgorithms(Tpm& tpm);

/// TPM2_GetCapability(ECC_CURVES) as TPML_ECC_CURVE.
Bytes ReadCurves(Tpm& tpm);

/// TPM2_ReadClock: TPMS_TIME_INFO.
Bytes ReadClock(Tpm& tpm);

/// TPM2_GetCapability(HANDLES): every handle of the type that `first` names.
std::vector<TPM2_HANDLE> ReadHandles(Tpm& tpm, TPM2_HANDLE first);

/// TPM2_GetCapability(PCRS): the banks that are allocated, as TPML_PCR_SELECTION.
Bytes ReadPcrBanks(Tpm& tpm);

/// TPM2_NV_Read of all that the index holds; nothing where it is not defined or was never written.
std::optional<Bytes> ReadNv(Tpm& tpm, TPM2_HANDLE index);

/// TPM2_PCR_Read, repeated until each PCR of the TPML_PCR_SELECTION that the TPM has was read.
std::vector<PcrValue> ReadPcrs(Tpm& tpm, const Bytes& selection);

/// The auth value of the endorsement hierarchy, for the commands that follow.
void SetEndorsementAuth(Tpm& tpm, const SecretBytes& auth);

/// TPM2_CreatePrimary in the endorsement hierarchy from a TPM2B_PUBLIC.
LoadedKey CreateEk(Tpm& tpm, const Bytes& publicTemplate);

/// Refers to an object that the TPM holds already, whoever loaded it; Release() leaves it there.
LoadedKey OpenObject(Tpm& tpm, TPM2_HANDLE handle);

/// TPM2_Create under the EK from a TPM2B_PUBLIC, and TPM2_Load.
LoadedKey CreateAk(Tpm& tpm, uint32_t ek, EkAuth ekAuth, const Bytes& publicTemplate);

/// TPM2_ActivateCredential in a session salted to the EK, whose parameters are encrypted both ways.
/// `credentialBlob` is a TPM2B_ID_OBJECT, `secret` a TPM2B_ENCRYPTED_SECRET.
SecretBytes ActivateCredential(Tpm& tpm, uint32_t ak, uint32_t ek, EkAuth ekAuth, const Bytes& credentialBlob,
                               const Bytes& secret);

/// The auth value of the owner hierarchy, for the commands that follow.
void SetOwnerAuth(Tpm& tpm, const SecretBytes& auth);

/// TPM2_CreatePrimary in the owner hierarchy from a TPM2B_PUBLIC.
LoadedKey CreateStorageKey(Tpm& tpm, const Bytes& publicTemplate);

/// TPM2_Create from a TPM2B_PUBLIC, under a parent whose user auth is empty; the key is not loaded. An auth value that is not
/// empty goes to the TPM encrypted.
WrappedKey CreateKey(Tpm& tpm, uint32_t parent, const Bytes& publicTemplate, const SecretBytes& auth);

/// TPM2_Load of a TPM2B_PUBLIC and a TPM2B_PRIVATE under a parent whose user auth is empty.
LoadedKey LoadKey(Tpm& tpm, uint32_t parent, const Bytes& publicArea, const Bytes& privateArea);

/// The auth value of a loaded key, for SignDigest() and CertifyKey().
void SetKeyAuth(Tpm& tpm, uint32_t key, const SecretBytes& auth);

/// TPM2_ContextSave of a key, which stays loaded: opaque, good in this TPM until it is reset.
Bytes SaveContext(Tpm& tpm, uint32_t key);

/// TPM2_ContextLoad of what SaveContext() gave.
LoadedKey LoadContext(Tpm& tpm, const Bytes& context);

/// TPM2_Sign of a digest by a key without a restriction; `scheme` is a TPMT_SIG_SCHEME, with TPM_ALG_NULL the key's own.
/// @returns TPMT_SIGNATURE
Bytes SignDigest(Tpm& tpm, uint32_t key, const Bytes& digest, const Bytes& scheme);

/// TPM2_RSA_Decrypt without a padding: the private operation of RSA on a number as long as the modulus.
SecretBytes ApplyRsaKey(Tpm& tpm, uint32_t key, const Bytes& number);

/// TPM2_Certify of a key, by the AK's own scheme.
Certification CertifyKey(Tpm& tpm, uint32_t key, uint32_t ak, const Bytes& qualifyingData);

/// TPM2_Quote with the AK's own scheme over a TPML_PCR_SELECTION.
Quote QuotePcrs(Tpm& tpm, uint32_t ak, const Bytes& qualifyingData, const Bytes& selection);

/// TPM2_FlushContext of a handle by the TPM's number, whoever loaded it.
void FlushForeign(Tpm& tpm, TPM2_HANDLE handle);

}  // namespace assayer
