/** How bytes might show in a log: the middle of base64 whatever comes before it, and hex in both cases. */
export function secretForms(secret: Uint8Array): readonly string[] {
  const bytes = Buffer.from(secret);
  const base64 = [0, 1, 2].map((lead) =>
    Buffer.concat([Buffer.alloc(lead), bytes])
      .toString('base64')
      .slice(lead === 0 ? 0 : 4)
      .replace(/.{4}$/, ''),
  );
  const hex = bytes.toString('hex');
  const decimal = [...bytes.subarray(0, 8)].join(',');
  return [
    ...base64,
    ...base64.map((text) => text.replaceAll('+', '-').replaceAll('/', '_')),
    hex,
    hex.toUpperCase(),
    decimal,
  ];
}
