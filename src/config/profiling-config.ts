import { flag, optionalPort, textList, wholeNumber } from './fields.ts';

/** Source: inventory C021 to C025, C090 to C093. */
export interface ProfilingConfig {
  readonly enabled: boolean;
  /** 0: none. */
  readonly port: number;
  /** 0: no dumps. */
  readonly dumpEverySeconds: number;
  readonly names: readonly string[];
}

export const profilingFields = {
  profiling_enabled: flag,
  profiling_port: optionalPort,
  profiling_freq: wholeNumber.default(0),
  profiling_names: textList,
};

export function toProfilingConfig(raw: {
  readonly profiling_enabled: boolean;
  readonly profiling_port?: number | undefined;
  readonly profiling_freq: number;
  readonly profiling_names: readonly string[];
}): ProfilingConfig {
  return {
    enabled: raw.profiling_enabled,
    port: raw.profiling_port ?? 0,
    dumpEverySeconds: raw.profiling_freq,
    names: raw.profiling_names,
  };
}
