import type { Plugin } from 'esbuild';

/** What dependencies bring and no plugin uses: half of a bundle, and time at each start. */
export const leftOut: Plugin = {
  name: 'left-out',
  setup(build) {
    // grpc-js loads proto-loader and protobufjs for its channelz service, which nobody serves.
    build.onResolve({ filter: /^@grpc\/proto-loader$/ }, ({ path }) => ({ path, namespace: 'left-out' }));
    build.onLoad({ filter: /.*/, namespace: 'left-out' }, () => ({
      contents: "exports.loadSync = () => { throw new Error('channelz is not part of this program'); };",
    }));
    // zod's messages in all languages.
    build.onLoad({ filter: /\/zod\/v4\/locales\/index\.js$/ }, () => ({
      contents: "export { default as en } from './en.js';",
    }));
  },
};
