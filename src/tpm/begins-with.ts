/** Whether the first bytes are those of `prefix`, such as a signature that tells what follows. */
export function beginsWith(bytes: Uint8Array, prefix: Uint8Array): boolean {
  return Buffer.compare(bytes.subarray(0, prefix.length), prefix) === 0;
}
