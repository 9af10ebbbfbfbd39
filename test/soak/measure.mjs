// Loaded into the proxy under soak: on SIGUSR2 it collects what can be collected, and tells what is left.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc');

process.on('SIGUSR2', () => {
  collect();
  // What waited for the collection ends in between.
  setTimeout(() => {
    collect();
    const { heapUsed, external, arrayBuffers } = process.memoryUsage();
    process.stderr.write(`memory ${heapUsed} ${external + arrayBuffers}\n`);
  }, 200);
});
