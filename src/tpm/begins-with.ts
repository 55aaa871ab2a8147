/** Whether the first bytes are those of `prefix`, such as a signature that tells what follows. */
export function beginsWith(bytes: Uint8Array, prefix: Uint8Array): boolean {
  for (let index = 0; index < prefix.length; index++) {
    if (bytes[index] !== prefix[index]) return false;
  }
  return true;
}
