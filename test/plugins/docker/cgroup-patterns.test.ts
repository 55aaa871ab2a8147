import { describe, expect, test } from 'vitest';
import { findAmbiguous, findByPatterns } from '../../../src/plugins/docker/cgroup-patterns.ts';

const id = '0123456789abcdef'.repeat(4);

describe('a path that fits', () => {
  const find = findByPatterns(['/docker/<id>', '/my.slice/*/<id>/*', '/a.b/<id>']);

  test.each([
    [`/docker/${id}`, id, `/docker/${id}`],
    [`/docker/docker-${id}.scope`, id, `/docker/docker-${id}.scope`],
    ['/docker/short-name', 'short-name', '/docker/short-name'],
    [`/my.slice/any/${id}/init.scope`, id, `/my.slice/any/${id}`],
  ])('%s', (path, containerId, place) => {
    expect(find(path)).toEqual({ containerId, path: place });
  });

  test.each([
    '/docker',
    `/docker/${id}/x`,
    `/x/docker/${id}`,
    `/aXb/${id}`,
    '/docker/',
    '/docker/..',
    '/docker/a b',
    '/docker/%2e',
  ])('but not %s', (path) => {
    expect(find(path)).toBeUndefined();
  });
});

test.each([
  [['/a/<id>', '/b/<id>'], undefined],
  [['/a/<id>', '/a/b/<id>'], undefined],
  [
    ['/a/<id>', '/a/<id>'],
    ['/a/<id>', '/a/<id>'],
  ],
  [
    ['/a/b/<id>', '/c/<id>', '/<id>/b/c'],
    ['/a/b/<id>', '/<id>/b/c'],
  ],
  [
    ['/x/<id>', '/a/b/<id>', '/*/b/<id>'],
    ['/a/b/<id>', '/*/b/<id>'],
  ],
])('%s: what fits the same path is %s', (patterns, pair) => {
  expect(findAmbiguous(patterns)).toEqual(pair);
});
