/** An error that a user can cause: a stable code, what is wrong, and what to do. */
export class Mistake extends Error {
  constructor(readonly code: string, message: string, help = '', tail = '') {
    const lines = tail ? `\n${tail.replace(/^/gm, '  | ')}` : '';
    super(`${code}: ${message}${lines}${help ? `\n  help: ${help}` : ''}`);
    this.name = 'LambdabuildError';
  }
}
