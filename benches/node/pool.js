// The classic worker pool, as people write it by hand on `worker_threads`: workers that are made once, a list
// of the free ones, a queue of tasks, and a promise for each task.

import { Worker } from 'node:worker_threads';

export class WorkerPool {
  workers = new Set();
  freeWorkers = [];

  // `taskQueue` is anything with `push`, `shift` and `length`: an array will do, until it is long.
  constructor(size, file, taskQueue) {
    this.file = file;
    this.taskQueue = taskQueue;
    for (let made = 0; made < size; made++) this.#startWorker();
  }

  // Resolves to what the worker answers.
  runTask(task) {
    return new Promise((resolve, reject) => {
      const waiting = { task, resolve, reject };
      const worker = this.freeWorkers.pop();
      if (worker === undefined) this.taskQueue.push(waiting);
      else this.#give(worker, waiting);
    });
  }

  async close() {
    await Promise.all([...this.workers].map((worker) => worker.terminate()));
  }

  #startWorker() {
    const worker = new Worker(this.file);
    worker.running = null;
    worker.on('message', (result) => {
      const done = worker.running;
      worker.running = null;
      // First the next task, so that the worker does not wait for whoever awaited this one.
      this.#giveNext(worker);
      done.resolve(result);
    });
    worker.on('error', (error) => this.#replace(worker, error));
    this.workers.add(worker);
    this.#giveNext(worker);
  }

  #giveNext(worker) {
    const waiting = this.taskQueue.length > 0 ? this.taskQueue.shift() : undefined;
    if (waiting === undefined) this.freeWorkers.push(worker);
    else this.#give(worker, waiting);
  }

  #give(worker, waiting) {
    worker.running = waiting;
    worker.postMessage(waiting.task);
  }

  // An exception that nobody caught has ended the worker: its task fails, another worker takes its place.
  #replace(worker, error) {
    this.workers.delete(worker);
    this.freeWorkers = this.freeWorkers.filter((free) => free !== worker);
    worker.running?.reject(error);
    this.#startWorker();
  }
}
