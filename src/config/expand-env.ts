/** `${NAME}`, `$NAME`, or one of the single characters that a shell knows; `$$` is a dollar sign. */
const VARIABLE = /\$(?:\{([^}]*)\}|([A-Za-z_][A-Za-z0-9_]*)|([*#$@!?\-0-9]))/g;

/** Replaces `$NAME` and `${NAME}` by the variables of `env`, an unset one by nothing. Source: inventory S001, `-expandEnv`. */
export function expandEnv(text: string, env: Readonly<Record<string, string | undefined>>): string {
  return text.replace(VARIABLE, (_match, braced?: string, plain?: string, special?: string) => {
    const name = braced ?? plain ?? special ?? '';
    return name === '$' ? '$' : (env[name] ?? '');
  });
}
