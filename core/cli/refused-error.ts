import { CerebroError, type ErrorCode } from '../errors.ts';

/** The daemon understood and said no: exit code 1, whatever the code. */
export class RefusedError extends CerebroError {
  constructor(code: ErrorCode, message: string, details: unknown) {
    super(code, message, { details });
    this.name = 'RefusedError';
  }
}
