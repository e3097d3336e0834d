import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Context } from 'koa';

/** URL name -> file. */
export type AssetFiles = Readonly<Record<string, { path: string; type: string }>>;

/** Scripts and styles, read once. */
export class PageAssets {
  readonly #files: AssetFiles;
  readonly #assets = new Map<string, { body: Buffer; type: string; etag: string }>();

  constructor(files: AssetFiles) {
    this.#files = files;
  }

  load(): void {
    for (const [name, { path, type }] of Object.entries(this.#files)) {
      const body = readFileSync(path);
      const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
      this.#assets.set(name, { body, type, etag });
    }
  }

  answer(ctx: Context): void {
    const asset = this.#assets.get(String(ctx.params.name));
    if (!asset) {
      ctx.status = 404;
      ctx.body = 'there is no such asset\n';
      return;
    }
    ctx.set('ETag', asset.etag);
    ctx.set('Cache-Control', 'no-cache');
    ctx.type = asset.type;
    if (ctx.get('if-none-match') === asset.etag) ctx.status = 304;
    else ctx.body = asset.body;
  }
}
