/** A file from a server. */

import { ArtifactError } from './errors.js';

/** The answer of the server; `ArtifactError` where it does not give the file. */
export async function fetchFile(url: string): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url);
  } catch (error) {
    throw new ArtifactError(`${url}: it cannot be read: ${(error as Error).message}`);
  }
  if (!response.ok) throw new ArtifactError(`${url}: the server answers ${response.status}`);
  return response;
}
