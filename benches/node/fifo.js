// A first-in-first-out queue whose `shift` costs the same however long the queue is. An array's `shift` moves
// every element once the array has some tens of thousands of them.

const PIECE = 2048;

export class Fifo {
  #head = { items: new Array(PIECE), next: null };
  #tail = this.#head;
  #first = 0;
  #end = 0;
  length = 0;

  push(item) {
    if (this.#end === PIECE) {
      this.#tail.next = { items: new Array(PIECE), next: null };
      this.#tail = this.#tail.next;
      this.#end = 0;
    }
    this.#tail.items[this.#end++] = item;
    this.length++;
  }

  shift() {
    if (this.length === 0) return undefined;
    if (this.#first === PIECE) {
      this.#head = this.#head.next;
      this.#first = 0;
    }
    const item = this.#head.items[this.#first];
    // Or the queue would keep alive what it has handed out.
    this.#head.items[this.#first++] = undefined;
    this.length--;
    return item;
  }
}
