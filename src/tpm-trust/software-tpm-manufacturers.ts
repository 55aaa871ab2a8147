/** Makers whose TPMs are all software: swtpm and IBM's reference TPM, Google, Amazon, Microsoft's hypervisor, VMware. */
export const SOFTWARE_TPM_MANUFACTURERS: readonly string[] = [
  'id:00001014',
  'id:49424D00',
  'id:474F4F47',
  'id:414D5A4E',
  'id:4D534654',
  'id:564D5700',
];
