import type { PageRequest } from '../../core/contracts/ui.ts';
import { CerebroError } from '../../core/errors.ts';

/** Throws `invalid` unless the box beside the button was ticked: browsers see to it, but not every client is one. */
export function needConfirmation(request: PageRequest, what: string): void {
  if (request.form.get('confirm') === 'yes') return;
  throw new CerebroError('invalid', `${what} needs the box beside the button to be ticked; nothing was done`);
}
