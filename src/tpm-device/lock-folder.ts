import { statSync } from 'node:fs';

/** Where all processes of a user find the locks of TPMs. */
export function lockFolder(uid: number): string {
  if (uid === 0) return '/run/assayer';
  const runtime = `/run/user/${uid}`;
  return statSync(runtime, { throwIfNoEntry: false })?.isDirectory() ? `${runtime}/assayer` : `/tmp/assayer-${uid}`;
}
