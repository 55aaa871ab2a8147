export { createTemporaryFolder, type TemporaryFolder } from '../../src/testing/temporary-folder.ts';
