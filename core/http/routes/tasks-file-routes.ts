import type { Context } from 'koa';
import { z } from 'zod';
import { CerebroError } from '../../errors.ts';
import type { TasksFile } from '../../machine/tasks-file.ts';
import { tasksReport } from '../../model/tasks-report.ts';
import { type ApiRoute, apiRoute } from './api-route.ts';

const flag = z.enum(['0', '1']).default('0');

/** Several tasks at once, and the file of task definitions. `command` throws for who may not change anything. */
export function tasksFileRoutes(file: TasksFile, command: (ctx: Context) => void): ApiRoute[] {
  return [
    apiRoute({
      method: 'post',
      path: '/api/v1/tasks',
      summary: 'Add or change the tasks of a task file (YAML or JSON): all of them or, when anything is wrong, none',
      query: z.strictObject({ source: z.string().max(1000).default('the task file'), start: flag, dry_run: flag }),
      answer: tasksReport,
      handle: ({ query, by }, ctx) => {
        // The text as it was sent: line numbers in messages are those of the file.
        const text = ctx.request.rawBody;
        if (!text) throw new CerebroError('invalid', 'body: expected task definitions, sent as text/yaml');
        command(ctx);
        const { source, start, dry_run } = query;
        return file.add(text, { source, start: start === '1', dryRun: dry_run === '1', by });
      },
    }),
    apiRoute({
      method: 'post',
      path: '/api/v1/tasks-file/load',
      summary: 'Load the file of task definitions again: only what changed is touched',
      answer: tasksReport,
      handle: ({ by }, ctx) => {
        command(ctx);
        return file.load(by);
      },
    }),
    apiRoute({
      method: 'post',
      path: '/api/v1/tasks-file/write',
      summary: 'Write the tasks of this machine into the file of task definitions',
      answer: z.object({ file: z.string(), written: z.array(z.string()), leftOut: z.array(z.string()) }),
      handle: ({ by }, ctx) => {
        command(ctx);
        return file.write(by);
      },
    }),
  ];
}
