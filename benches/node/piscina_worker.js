// What runs in a worker of piscina.

import { move } from 'piscina';
import { movable, run } from './jobs.js';

export default (task) => {
  const result = run(task);
  return movable(result).length > 0 ? move(result) : result;
};
