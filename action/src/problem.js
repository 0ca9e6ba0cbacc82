// What went wrong, and what to do about it.
export class Problem extends Error {
  constructor(what, help) {
    super(what);
    this.help = help;
  }
}
