"""The prose of the lesson, page by page."""

INTRODUCTIONS = {
    "counting": """
<p>A neural network is arithmetic on a large scale, and its cost can be counted before it ever runs. Three words are
mixed up all the time:</p>
<ul>
<li><b>FLOPs</b>, with a small s: floating-point operations. A <i>quantity</i>, as kilometres are. A network has
them.</li>
<li><b>FLOPS</b>, with a capital S: floating-point operations per second. A <i>rate</i>, as kilometres per hour are.
A machine has them; here we write FLOP/s.</li>
<li><b>MACs</b>: multiply-accumulates. Multiply two numbers and add the product to a sum: <b>one MAC, two
FLOPs</b>.</li>
</ul>
<p>Nearly all that networks do are dot products: pairs of numbers are multiplied and added up. Let one grow step by
step. (Strictly, the first product is added to nothing. Counters take the sum as starting from zero, or from the bias,
and so n products are n MACs.)</p>""",
    "dense": """
<p>In a dense (fully connected) layer every output is the dot product of <i>all</i> inputs with weights of its own.
Each
line in the drawing is one weight and one MAC. So the MACs are the lines: outputs times inputs.</p>
<p>The sliders stand at the first dense layer of our notes: 605 inputs, 128 neurons. Make the outputs one after the
other, and watch the count.</p>""",
    "convolution": """
<p>A convolution has few weights and uses each many times. A <b>kernel</b> of k × k cells slides over the input; at
each
stop, one dot product makes <b>one element of the output</b>. The kernel reaches through all input channels, and each
kernel makes one output channel. So count: how many output elements, and how many MACs behind each?</p>
<p>Move every slider, and guess before you look: which ones change the cost? Click on the output, or play the steps,
to
see what an element reads.</p>
<details><summary>What the sliders mean</summary><ul>
<li><b>Stride</b>: the kernel moves that many cells at a time.</li>
<li><b>Padding</b>: rows and columns of zeros around the input, so that the output need not shrink.</li>
<li><b>Dilation</b>: the kernel's cells stand that far apart. It sees more and costs the same.</li>
<li><b>Groups</b>: channels are split into groups, and a kernel reads only those of its own group.</li>
<li><b>Bias</b>: one number is added to each output element: one FLOP each.</li>
</ul></details>""",
    "pooling": """
<p>A pooling takes the mean or the maximum of a window, in each channel alone. It has no weights and no MACs; we count
one operation for each element of each window, as the notes do.</p>
<p>It is hardly ever the pooling itself that matters. It makes the maps smaller, and <b>everything behind it gets
cheaper</b>: a convolution in proportion to its output elements, a dense layer in proportion to its inputs. But what
the pooling throws away is gone.</p>""",
    "separable": """
<p>A convolution does two things at once: it looks around within each channel, and it mixes the channels. A
<b>depthwise-separable</b> convolution does one after the other:</p>
<ul>
<li>the <b>depthwise</b> layer slides one k × k kernel over each channel alone (groups = channels);</li>
<li>the <b>pointwise</b> layer mixes the channels, pixel by pixel, with kernels of 1 × 1.</li>
</ul>
<p>Input and output have the same shapes as before. What part of the cost is left? The table has it for many sizes.
Find the rule: what happens for very many output channels, and what for a kernel of 1 × 1?</p>""",
    "networks": """
<p>The notes work out two networks for images of 28 × 28. The first: convolution, average pooling, convolution, two
dense layers. The second is titled “Using efficient layers”: it has separable convolutions instead.</p>
<p>Each separable convolution costs only a part of the convolution that it stands for. The notes count every layer of
the second network, but they never add it up. Before we do: <b>what do you expect?</b></p>""",
    "conventions": """
<p>“ResNet-50 has 4 GFLOPs.” “No, 8.” Both are right, each by its own rule. Tools differ in three ways: whether a MAC
is
<b>one operation or two</b>; <b>which layers</b> count at all (biases, normalisation, activations, pooling); and what
they <b>cannot see</b> (products of matrices that belong to no layer, weights that meet many vectors).</p>
<p>Below are ten networks and nine rules, each as a multiple of the MACs. The rules are applied to the networks'
computation graphs; for torch, fvcore, thop and torchinfo the results are those of the tools themselves, to the last
digit.</p>""",
    "roofline": """
<p>A layer is done when its arithmetic is done <i>and</i> its data have come and gone. Its <b>arithmetic intensity</b>
is the FLOPs that it makes for each byte that it moves. A machine has two limits: a peak (FLOP/s), and a bandwidth
(byte/s). So a layer runs at</p>
<p><b>min(peak, bandwidth × intensity)</b></p>
<p>at best: the <b>roofline</b>. Left of the ridge a layer waits for memory, however few FLOPs it has. Set the sliders
to
a machine, or measure the one that this page runs on. Open points are what a layer could reach at most; measured, they
are filled, and stand where they really are.</p>""",
    "times": """
<p>A runtime can tell what it did: how long each of its operators took. But it does not run the layers that you wrote.
<b>OpenVINO</b>, which compiles a network for the processor at hand, folds the batch norm into the weights of the
convolution before it, and makes the ReLU while the result is still at hand: three layers, one operator. Here what was
run is joined back to your layers; those that were run as one stand in brackets. <b>torch</b> runs them one by one.</p>
<p>Before you measure: which layers have most of the FLOPs? Then measure, and see which take most of the time.</p>""",
    "pruning": """
<p>A trained network has many weights that hardly matter. There are two ways to leave them out.</p>
<ul>
<li><b>Set single weights to zero</b>, the smallest first. Shapes stay as they are, so a dense kernel multiplies by the
zeros as by any other number. <i>Effective</i> MACs, those without the zeros, are a promise that only special kernels
keep.</li>
<li><b>Remove whole channels</b>. A kernel that is gone makes no output channel, and the next layer has nothing to read
there: shapes get smaller, and so does everything else.</li>
</ul>
<p>The network has four convolutions for images of 8 × 8. Set both sliders; then measure it, with weights that are not
trained, as speed does not depend on what they are.</p>""",
}
