// Loads the plugin and has it tell what processes are: attest.main.ts CONFIGURATION PID…
import { LoadedDockerPlugin } from './loaded-plugin.ts';

const [text = '', ...pids] = process.argv.slice(2);
await using plugin = await LoadedDockerPlugin.load(text);
for (const pid of pids) process.stdout.write(`${JSON.stringify(await plugin.attest(Number(pid)))}\n`);
