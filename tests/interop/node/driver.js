// Drives the npm package nacos (HTTP, UDP push). See tests/interop/__init__.py for the protocol.
'use strict';

const path = require('path');
const readline = require('readline');

// Standard output is ours: what the SDK and its dependencies print goes to standard error.
const write = process.stdout.write.bind(process.stdout);
process.stdout.write = process.stderr.write.bind(process.stderr);

const log = (...parts) => process.stderr.write(`${parts.map(String).join(' ')}\n`);
const logger = { debug() {}, info() {}, warn: log, error: log };

const { NacosConfigClient, NacosNamingClient } = require('nacos');
const { version } = require('nacos/package.json');

function say(message) {
  write(`${JSON.stringify(message)}\n`);
}

function published(instance) {
  const { cluster, ...same } = instance;
  return { ...same, clusterName: cluster };
}

function seen({ ip, port, weight, enabled, healthy, ephemeral, clusterName, metadata }) {
  return { ip, port, weight, enabled, healthy, ephemeral, cluster: clusterName, metadata };
}

class Client {
  constructor(name) {
    this.name = name;
    this.listeners = new Map();
  }

  async open({ server, namespace, folder }) {
    this.naming = new NacosNamingClient({ logger, serverList: server, namespace: namespace || 'public' });
    this.config = new NacosConfigClient({ serverAddr: server, namespace, cacheDir: path.join(folder, 'cache') });
    for (const client of [this.naming, this.config]) client.on('error', error => log(error.message));
    this.naming._hostReactor.on('error', error => log(error.message)); // it does not reach the client
    await this.naming.ready();
    await this.config.ready();
  }

  async close() {
    await this.naming.close();
    this.config.close();
  }

  async register({ service, group, instance }) {
    await this.naming.registerInstance(service, published(instance), group);
  }

  async deregister({ service, group, instance }) {
    await this.naming.deregisterInstance(service, published(instance), group);
  }

  async select({ service, group, clusters, healthy }) {
    const found = healthy
      ? await this.naming.selectInstances(service, group, clusters.join(','), true, false)
      : await this.naming.getAllInstances(service, group, clusters.join(','), false);
    return found.map(seen);
  }

  subscribe({ service, group, clusters }) {
    const listener = hosts => say({ client: this.name, event: 'service', service, group, instances: hosts.map(seen) });
    this.listeners.set(`service ${group} ${service}`, listener);
    this.naming.subscribe({ serviceName: service, groupName: group, clusters: clusters.join(',') }, listener);
  }

  unsubscribe({ service, group, clusters }) {
    const listener = this.listeners.get(`service ${group} ${service}`);
    this.naming.unSubscribe({ serviceName: service, groupName: group, clusters: clusters.join(',') }, listener);
  }

  async publish({ data_id: dataId, group, content }) {
    return this.config.publishSingle(dataId, group, content);
  }

  async get({ data_id: dataId, group }) {
    return this.config.getConfig(dataId, group);
  }

  async remove({ data_id: dataId, group }) {
    return this.config.remove(dataId, group);
  }

  listen({ data_id: dataId, group }) {
    const listener = content => say({ client: this.name, event: 'config', data_id: dataId, group, content });
    this.listeners.set(`config ${group} ${dataId}`, listener);
    this.config.subscribe({ dataId, group }, listener);
  }

  unlisten({ data_id: dataId, group }) {
    this.config.unSubscribe({ dataId, group }, this.listeners.get(`config ${group} ${dataId}`));
  }
}

const clients = new Map();

async function answer({ id, client: name, do: verb, ...members }) {
  try {
    if (verb === 'open') clients.set(name, new Client(name));
    const value = await clients.get(name)[verb](members);
    say({ id, value: value === undefined ? null : value });
  } catch (error) {
    say({ id, error: `${error.name}: ${error.message}` });
  }
}

process.on('unhandledRejection', error => log(error.stack));
say({ sdk: 'nacos', version });
readline
  .createInterface({ input: process.stdin, crlfDelay: Infinity })
  .on('line', line => answer(JSON.parse(line)))
  .on('close', () => process.exit(0));
