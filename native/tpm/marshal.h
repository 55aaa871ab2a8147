#pragma once

#include <stdexcept>

#include <tss2/tss2_mu.h>

#include "tpm.h"

namespace assayer {

/// Marshals a TPM structure with its Tss2_MU function.
template <class T, class Function>
Bytes Marshal(const T& value, Function marshal) {
  Bytes bytes(sizeof(T) + sizeof(uint16_t));
  size_t length = 0;
  Check("Tss2_MU_Marshal", marshal(&value, bytes.data(), bytes.size(), &length));
  bytes.resize(length);
  return bytes;
}

/// Unmarshals a TPM structure that takes up all of `bytes`.
template <class T, class Function>
T Unmarshal(const Bytes& bytes, Function unmarshal) {
  T value{};
  size_t offset = 0;
  Check("Tss2_MU_Unmarshal", unmarshal(bytes.data(), bytes.size(), &offset, &value));
  if (offset != bytes.size()) throw std::invalid_argument("bytes follow the TPM structure");
  return value;
}

}  // namespace assayer
