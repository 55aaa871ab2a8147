/** What the hostile plugin of the benchmark does without end, and what it is called in the table. */
export const DEEDS = {
  nothing: 'does nothing',
  cpu: 'burns CPU on 4 threads',
  cpuAtFullWeight: 'burns CPU on 4 threads, with the same weight as all',
  forks: 'forks without end',
  memory: 'fills memory',
  log: 'fills the log',
  messages: 'floods its standard output, a message a byte',
  calls: 'floods the host with calls, 64 at once',
} as const;
export type Deed = keyof typeof DEEDS;
