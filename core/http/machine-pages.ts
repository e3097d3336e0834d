import Router from '@koa/router';
import type { Context, Middleware } from 'koa';
import type { MachineApi, MachinePage } from '../contracts/machine-api.ts';
import type { MachineSitter } from '../machine/machine-sitter.ts';
import type { TasksFile } from '../machine/tasks-file.ts';
import type { Auth } from './auth.ts';
import { requestOf } from './page-request.ts';

/** The endpoints that plugins add to a machine sitter. */
export function machinePages(pages: readonly MachinePage[], api: MachineApi, auth: Auth): Middleware {
  const router = new Router();
  for (const page of pages) {
    router[page.method === 'GET' ? 'get' : 'post'](page.path, async (ctx: Context) => {
      const { by } = auth.caller(ctx);
      const answer = await page.answer(requestOf(ctx, by), api);
      if ('redirect' in answer) {
        ctx.redirect(answer.redirect);
        return;
      }
      ctx.status = answer.status ?? 200;
      ctx.body = answer.json;
    });
  }
  // The router's type asks for what only it itself puts into the context.
  return router.routes() as unknown as Middleware;
}

/** A machine sitter as its plugins see it. */
export function machineApiOf(sitter: MachineSitter, file: TasksFile): MachineApi {
  return {
    tasks: () => sitter.tasks(),
    task: (id) => sitter.task(id),
    capacity: () => sitter.capacity(),
    addTasks: (text, options) => file.add(text, { ...options, dryRun: false }),
    act: (id, action, by) => sitter.act(id, action, by),
    removeTask: (id) => sitter.remove(id),
    loadTasks: (by) => file.load(by),
    writeTasks: (by) => file.write(by),
  };
}
