/**
 * Whether a version is a floor or newer than it. Numbers are compared one by one, a missing one being older; what stands
 * between them has to be the same up to where they differ, so that versions of different makers never compare.
 */
export function isNotOlder(version: string, floor: string): boolean {
  const [parts, wanted] = [partsOf(version), partsOf(floor)];
  for (const [position, part] of wanted.entries()) {
    const found = parts[position];
    if (found === undefined) return false;
    if (found === part) continue;
    const [one, other] = [numberOf(found), numberOf(part)];
    if (one === undefined || other === undefined) return false;
    if (one !== other) return one > other;
  }
  return true;
}

const partsOf = (version: string): readonly string[] => version.match(/\d+|\D+/g) ?? [];
const numberOf = (part: string) => (/^\d/.test(part) ? BigInt(part) : undefined);
