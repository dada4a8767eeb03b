/** Draws strings with the probabilities of what is left, each at most once. */

import { Coins } from './coin.js';
import { STOP } from './decoder.js';
import type { NextTokens } from './next_tokens.js';

/** Where less probability than this is left, everything has been found. */
const NOTHING = 2 ** -40;

/** Prefixes evaluated at a time. */
const TOGETHER = 4096;

/** A string of the trie. */
export interface Drawn {
  readonly ids: readonly number[];
  readonly stopped: boolean;
}

/**
 * A prefix. `weights` (V,): of each next token, its probability times the share of what follows it
 * that is left; `share`: the probability of the prefix's own last token.
 */
interface Node {
  readonly weights: Float64Array;
  readonly state: number;
  readonly share: number;
  readonly children: Map<number, Node>;
}

interface Place {
  readonly node: Node;
  readonly token: number;
}

/** A string on its way down: its ids after the prompt, and the node it has come to. */
interface Walker {
  readonly node: Node;
  readonly ids: readonly number[];
}

/**
 * Shi, Bieber and Sutton (2020), Incremental Sampling Without Replacement for Sequence Models,
 * section 3. Rows keep their coins; what is drawn depends on what was drawn before.
 */
export class StringTrie {
  private constructor(
    private readonly next: NextTokens,
    private readonly coins: Coins,
    private readonly root: Node,
  ) {}

  static async over(next: NextTokens, seed: bigint): Promise<StringTrie> {
    const [weights] = await next.after([[]], [next.start]);
    const root = { weights, state: next.start, share: 1, children: new Map() };
    return new StringTrie(next, new Coins(seed), root);
  }

  /** The probability of all that is left. */
  get left(): number {
    return sumOf(this.root.weights);
  }

  get isEmpty(): boolean {
    return this.left < NOTHING;
  }

  /** The string of a row, which is then removed; undefined where the row comes to nothing. */
  async draw(row: bigint): Promise<Drawn | undefined> {
    const path: Place[] = [];
    const ids: number[] = [];
    for (let node = this.root; ; node = await this.child(node, ids)) {
      const token = this.pick(node, row, ids.length);
      if (token === undefined) {
        remove(path);
        return undefined;
      }
      path.push({ node, token });
      if (token !== STOP) ids.push(token);
      if (token === STOP || this.next.isCut(ids.length)) break;
    }
    remove(path);
    const stopped = path[path.length - 1].token === STOP;
    return { ids: [...this.next.plan.prompt, ...ids], stopped };
  }

  /** Removes strings. */
  async remove(strings: readonly Drawn[]): Promise<void> {
    const begin = this.next.plan.prompt.length;
    const found = strings.map(({ ids, stopped }) =>
      stopped ? [...ids.slice(begin), STOP] : ids.slice(begin),
    );
    let level: Walker[] = found.map((ids) => ({ node: this.root, ids }));
    for (let depth = 0; level.length > 0; ++depth) level = await this.descend(level, depth);
    for (const ids of found) {
      let node = this.root;
      const path = ids.map((token) => {
        const place = { node, token };
        node = node.children.get(token) ?? node;
        return place;
      });
      remove(path);
    }
  }

  private pick(node: Node, row: bigint, length: number): number | undefined {
    let sum = 0;
    const cumulative = node.weights.map((weight) => {
      sum += weight;
      return sum;
    });
    if (!(sum > 0)) return undefined;
    const position = this.next.plan.prompt.length + length;
    const coin = this.coins.at(Number(row & 0xffffffffn), Number(row >> 32n), position);
    const token = cumulative.findIndex((each) => each > coin * sum);
    if (token >= 0 && node.weights[token] !== 0) return token;
    return node.weights.findLastIndex((weight) => weight !== 0); // rounded up
  }

  private async child(node: Node, ids: readonly number[]): Promise<Node> {
    const token = ids[ids.length - 1];
    const found = node.children.get(token);
    if (found !== undefined) return found;
    await this.grow([{ node, ids }]);
    return node.children.get(token) as Node;
  }

  /** Nodes one token further along strings that go on, made where there are none. */
  private async descend(level: readonly Walker[], depth: number): Promise<Walker[]> {
    const goingOn = level.filter(({ ids }) => ids.length > depth + 1);
    const missing = new Map<Node, Map<number, Walker>>();
    for (const { node, ids } of goingOn) {
      if (node.children.has(ids[depth])) continue;
      const ofNode = missing.get(node) ?? new Map<number, Walker>();
      missing.set(node, ofNode.set(ids[depth], { node, ids: ids.slice(0, depth + 1) }));
    }
    const parents = [...missing.values()].flatMap((ofNode) => [...ofNode.values()]);
    for (let begin = 0; begin < parents.length; begin += TOGETHER) {
      await this.grow(parents.slice(begin, begin + TOGETHER));
    }
    return goingOn.map(({ node, ids }) => ({ node: node.children.get(ids[depth]) as Node, ids }));
  }

  /** Gives each node the child that the last of its walker's ids leads to. */
  private async grow(walkers: readonly Walker[]): Promise<void> {
    const lastOf = ({ ids }: Walker) => ids[ids.length - 1];
    const states = walkers.map((each) => this.next.stateAfter(each.node.state, lastOf(each)));
    const weights = await this.next.after(
      walkers.map(({ ids }) => ids),
      states,
    );
    walkers.forEach((each, i) => {
      const share = each.node.weights[lastOf(each)];
      const node = { weights: weights[i], state: states[i], share, children: new Map() };
      each.node.children.set(lastOf(each), node);
    });
  }
}

/** Takes the last token of a path from its node, and what that leaves from those above. */
function remove(path: readonly Place[]): void {
  [...path].reverse().forEach(({ node, token }, i) => {
    const child = i > 0 ? node.children.get(token) : undefined;
    node.weights[token] = child === undefined ? 0 : child.share * sumOf(child.weights);
  });
}

function sumOf(weights: Float64Array): number {
  return weights.reduce((sum, weight) => sum + weight, 0);
}
