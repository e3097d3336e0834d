import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { constants, gzipSync } from 'node:zlib';
import type { Context } from 'koa';
import { takesGzip } from '../answers/compress-answers.ts';

/** URL name -> file, or the files that it is put together from. */
export type AssetFiles = Readonly<Record<string, { path: string | readonly string[]; type: string }>>;

interface Representation {
  body: Buffer;
  etag: string;
}

interface Asset {
  type: string;
  plain: Representation;
  packed: Representation;
}

/** Scripts and styles, read and packed once. */
export class PageAssets {
  readonly #files: AssetFiles;
  readonly #assets = new Map<string, Asset>();

  constructor(files: AssetFiles) {
    this.#files = files;
  }

  load(): void {
    for (const [name, { path, type }] of Object.entries(this.#files)) {
      const body = Buffer.concat([path].flat().map((file) => readFileSync(file)));
      const hash = createHash('sha256').update(body).digest('base64url').slice(0, 22);
      // Two representations of one thing: what a cache has of the one is not good for the other, so their tags differ.
      const plain = { body, etag: `"${hash}"` };
      const packed = { body: gzipSync(body, { level: constants.Z_BEST_COMPRESSION }), etag: `"${hash}.gz"` };
      this.#assets.set(name, { type, plain, packed });
    }
  }

  answer(ctx: Context): void {
    const asset = this.#assets.get(String(ctx.params.name));
    if (!asset) {
      ctx.status = 404;
      ctx.body = 'there is no such asset\n';
      return;
    }
    const gzip = takesGzip(ctx);
    const { body, etag } = gzip ? asset.packed : asset.plain;
    ctx.set('ETag', etag);
    ctx.set('Cache-Control', 'no-cache');
    ctx.vary('Accept-Encoding');
    ctx.type = asset.type;
    ctx.status = 200;
    if (ctx.fresh) {
      ctx.status = 304;
      return;
    }
    if (gzip) ctx.set('Content-Encoding', 'gzip');
    ctx.body = body;
  }
}
