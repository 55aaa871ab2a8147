import { servePlugin } from '../../plugin-sdk/index.ts';
import { hashicorpVault } from './key-manager.ts';

await servePlugin(hashicorpVault);
