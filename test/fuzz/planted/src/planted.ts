/**
 * A bug behind four comparisons, which only a fuzzer that sees the code finds: one in four thousand million otherwise.
 */
export function parsePlanted(input: Buffer): void {
  if (input[0] !== 0x46) return;
  if (input[1] !== 0x55) return;
  if (input[2] !== 0x5a) return;
  if (input[3] !== 0x5a) return;
  throw new Error('planted');
}
