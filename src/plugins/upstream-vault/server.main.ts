import { servePlugin } from '../../plugin-sdk/index.ts';
import { upstreamVault } from './upstream-authority.ts';

await servePlugin(upstreamVault);
