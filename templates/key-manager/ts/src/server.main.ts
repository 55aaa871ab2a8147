import { servePlugin } from 'assayer/plugin-sdk';
import { keyManager } from './key-manager.ts';

await servePlugin(keyManager('server'));
