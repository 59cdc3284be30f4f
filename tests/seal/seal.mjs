// SPDX-License-Identifier: Apache-2.0
// A folder with a program (program.json, written by the C++ tests) and what SEAL needs to run it.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
// The build that does not refuse ciphertexts whose second part is zero, as a residue of extremes may be.
import SEAL from 'node-seal/allows_wasm_node_umd.js';

const library = await SEAL();

export class Folder {
  constructor(path) {
    this.path = path;
    this.program = JSON.parse(this.text('program.json'));
  }

  text(name) {
    return readFileSync(join(this.path, name), 'utf8');
  }

  bytes(name) {
    return new Uint8Array(readFileSync(join(this.path, name)));
  }

  numbers(name) {
    return new Float64Array(this.bytes(name).buffer);
  }

  write(name, bytes) {
    writeFileSync(join(this.path, name), bytes);
  }

  // Saves a SEAL object uncompressed.
  save(name, object) {
    this.write(name, save(object));
  }
}

// A failure is told in a few lines, without the library's source, which node would print.
process.on('uncaughtException', (error) => {
  process.stderr.write(`${error?.stack ?? error}\n`, () => process.exit(1));
});

export const save = (object) => object.saveArray(library.ComprModeType.none);

// SEAL with the parameters of a folder.
export class Scheme {
  constructor(folder) {
    this.folder = folder;
    this.seal = library;
    this.parameters = library.EncryptionParameters(library.SchemeType.ckks);
    this.parameters.loadArray(folder.bytes('parameters.seal'));
    this.context = library.Context(this.parameters, true, library.SecurityLevel.tc128);
    if (!this.context.parametersSet()) throw new Error('SEAL refuses the parameters: ' + this.context.toHuman());
    this.encoder = library.CKKSEncoder(this.context);
    this.evaluator = library.Evaluator(this.context);
    this.levels = new Map();
    for (let data = this.context.firstContextData; ; data = data.nextContextData) {
      this.levels.set(data.chainIndex, data.parmsId);
      if (data.chainIndex === 0) break;
    }
  }

  // What SEAL itself would have chosen for primes of these sizes.
  createdParameters(bits) {
    const { polyModulusDegree } = this.parameters;
    const parameters = library.EncryptionParameters(library.SchemeType.ckks);
    parameters.setPolyModulusDegree(polyModulusDegree);
    parameters.setCoeffModulus(library.CoeffModulus.Create(polyModulusDegree, Int32Array.from(bits)));
    return save(parameters);
  }

  // `make` is one of the library's constructors without arguments: CipherText, PlainText, SecretKey, ...
  load(make, bytes) {
    const object = make();
    object.loadArray(this.context, bytes);
    return object;
  }

  encode(values, scale, level) {
    const plain = this.encoder.encode(values, scale);
    this.evaluator.plainModSwitchTo(plain, this.levels.get(level), plain);
    return plain;
  }

  // One case of a program; `plain` is its plaintext where it has one. A new ciphertext.
  run(test, operands, plain, relinKeys, galoisKeys) {
    const [a, b] = operands;
    const { evaluator } = this;
    switch (test.operation) {
      case 'add': return evaluator.add(a, b);
      case 'subtract': return evaluator.sub(a, b);
      case 'negate': return evaluator.negate(a);
      case 'add_plain': return evaluator.addPlain(a, plain);
      case 'multiply_plain': return evaluator.multiplyPlain(a, plain);
      case 'multiply': return evaluator.multiply(a, b);
      case 'square': return evaluator.square(a);
      case 'relinearise': return evaluator.relinearize(a, relinKeys);
      case 'rescale': return evaluator.rescaleToNext(a);
      case 'drop': return evaluator.cipherModSwitchTo(a, this.levels.get(test.level));
      case 'rotate': return evaluator.rotateVector(a, test.step, galoisKeys);
      case 'conjugate': return evaluator.complexConjugate(a, galoisKeys);
      default: throw new Error('SEAL has no operation ' + test.operation);
    }
  }
}
