/**
 * The parameters of a command line as the kernel takes it apart: at white space outside of double quotes, up to `--`, behind
 * which init's begin.
 *
 * @returns name and value, such as `ima_policy` and `tcb`; a value without its quotes, empty where there is none
 * @see Linux, lib/cmdline.c by what it does
 */
export function kernelParameters(commandLine: string): readonly (readonly [name: string, value: string])[] {
  const parameters: (readonly [string, string])[] = [];
  for (const [word] of commandLine.matchAll(/(?:"[^"]*(?:"|$)|[^"\s])+/g)) {
    if (word === '--') break;
    const whole = word.startsWith('"') ? word.slice(1).replace(/"$/, '') : word;
    const end = whole.indexOf('=');
    const [name, value] = end < 0 ? [whole, ''] : [whole.slice(0, end), whole.slice(end + 1)];
    parameters.push([name, value.replace(/^"|"$/g, '')]);
  }
  return parameters;
}

/** Parameters that say what IMA measures and how: what is set at run time instead is not measured. */
const IMA_POLICY = 'ima_policy';

/** The policies of IMA that a command line turns on, such as `tcb`: `ima_policy=tcb|critical_data`. */
export function imaPoliciesOf(commandLine: string): ReadonlySet<string> {
  return new Set(
    kernelParameters(commandLine)
      .filter(([name]) => name === IMA_POLICY)
      .flatMap(([, value]) => value.split('|').map((word) => word.trim()))
      .filter((word) => word !== ''),
  );
}
