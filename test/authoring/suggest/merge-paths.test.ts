import { expect, test } from 'vitest';
import { foldersRatherThanFiles, outermost } from '../../../src/authoring/suggest/merge-paths.ts';

const rows: readonly (readonly [string, readonly string[], readonly string[], readonly string[]])[] = [
  ['one file', ['/opt/mine/a'], [], ['/opt/mine/a']],
  ['two files of one folder', ['/opt/mine/a', '/opt/mine/b'], [], ['/opt/mine']],
  ['two files of a folder of many', ['/etc/a', '/etc/b'], [], ['/etc/a', '/etc/b']],
  ['a folder that is listed', ['/opt/mine'], ['/opt/mine'], ['/opt/mine']],
  ['three folders of one', ['/srv/x/a', '/srv/x/b', '/srv/x/c'], ['/srv/x/a', '/srv/x/b', '/srv/x/c'], ['/srv/x']],
  ['two folders of one', ['/srv/x/a', '/srv/x/b'], ['/srv/x/a', '/srv/x/b'], ['/srv/x/a', '/srv/x/b']],
  [
    'three folders of a folder of many',
    ['/opt/a', '/opt/b', '/opt/c'],
    ['/opt/a', '/opt/b', '/opt/c'],
    ['/opt/a', '/opt/b', '/opt/c'],
  ],
  ['files at the root', ['/a', '/b'], [], ['/a', '/b']],
  ['nothing', [], [], []],
];
test.each(rows)('%s', (_what, paths, listed, expected) => {
  expect(outermost(foldersRatherThanFiles(paths, new Set(listed)))).toEqual(expected);
});

test('what is within another is left out, a name that only begins like it is not', () => {
  expect(outermost(['/a/b', '/a', '/ab', '/a', '/a/b/c'])).toEqual(['/a', '/ab']);
});
