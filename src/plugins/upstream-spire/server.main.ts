import { servePlugin } from '../../plugin-sdk/index.ts';
import { upstreamSpire } from './upstream-authority.ts';

await servePlugin(upstreamSpire);
