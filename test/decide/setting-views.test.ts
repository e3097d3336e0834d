import t from 'tap';
import { settingViews } from '../../core/decide/setting-views.ts';
import { settings } from '../../core/model/settings.ts';

const find = (views: ReturnType<typeof settingViews>, key: string) => views.find((view) => view.key === key);

t.test('each setting is there once, with its value, its origin and its default', async (t) => {
  const origins = { file: 'cerebro.yaml', inFile: ['port', 'log_level'], inFlags: ['log_level', 'data_dir'] };
  const views = settingViews(settings.parse({ port: 31_000, log_level: 'warn', data_dir: '/x' }), origins);
  t.strictSame(views.map(({ key }) => key).sort(), Object.keys(settings.shape).sort());
  t.match(find(views, 'port'), { value: '31000', origin: 'file', file: 'cerebro.yaml', default: '0' });
  t.match(find(views, 'log_level'), { value: '"warn"', origin: 'flag', file: null, default: '"info"' });
  t.match(find(views, 'dns_ttl'), { value: '30', origin: 'default', default: '30' });
  t.match(find(views, 'tasks_file'), { value: null, origin: 'default', default: null });
  t.ok(
    views.every(({ secret }) => !secret),
    'there are no secrets among them',
  );
});

t.test('what was changed while it runs is what is in force', async (t) => {
  const given = settings.parse({ max_idle_per_zone: 2 });
  const views = (idle: Record<string, number>, logLevel: string | null = null) =>
    settingViews(given, undefined, { idle, logLevel });
  t.match(find(views({}), 'max_idle_per_zone'), { value: '2', origin: 'default' });
  t.match(find(views({ '*': 5 }), 'max_idle_per_zone'), { value: '5', origin: 'run time', default: '1' });
  t.match(find(views({ 'local-a': 0 }), 'max_idle_per_zone'), { value: '{"*":2,"local-a":0}', origin: 'run time' });
  t.match(find(views({}, 'debug'), 'log_level'), { value: '"debug"', origin: 'run time' });
});
