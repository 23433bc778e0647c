// What runs in a worker of the pool written by hand.

import { parentPort } from 'node:worker_threads';
import { movable, run } from './jobs.js';

parentPort.on('message', (task) => {
  const result = run(task);
  parentPort.postMessage(result, movable(result));
});
