"""The figures of the GENNAPE paper (Mills et al., AAAI 2023), as it prints them: by table, family, setting and method.

Mean absolute errors are in percent points here, as printed; `PAPER` has fractions. What looks like a slip in print is
kept: Kendall's τ of CL on Two-Path lies above its SRCC (tables 8 and 9); one deviation is 0.6370 (table 9,
Two-Path); five fine-tuned columns of Two-Path are the same for NDCG@50 and NDCG@10 (table 10).
"""

from typing import NamedTuple


class Figure(NamedTuple):
    """One figure: mean and standard deviation, which is None where the paper gives none."""

    mean: float
    sd: float | None


class Cell(NamedTuple):
    """Where a figure stands."""

    table: int
    measure: str
    family: str
    setting: str
    method: str


_PRINTED = """
table 1 srcc: Synflow | Jacov | Fisher | SNIP | FLOPs
  nb201 zero-shot: .823 .859 .687 .718 .001
  nb301 zero-shot: -.210 -.190 -.305 -.336 .578
  proxyless zero-shot: .086 -.022 .677 .731 .689
  ofa_mbv3 zero-shot: .648 .035 .602 .649 .614
  ofa_resnet zero-shot: .724 -.094 .651 .752 .785
  hiaml zero-shot: .154 -.010 -.102 -.168 .277
  inception zero-shot: .085 .177 -.152 -.061 .412
  two_path zero-shot: .227 -.071 .042 -.027 .333
table 3 mae: NPN | BANANAS | TNASP | GCN | GIN | k-GNN | CL | CL+FCM | CL+T | CL+FCM+T
  nb101 in-domain: 1.09±.01 1.40±.06 1.23±.02 1.78±.06 1.72±.04 1.61±.08 1.51±.17 1.19±.12 .65±.08 .59±.01
table 3 srcc: NPN | BANANAS | TNASP | GCN | GIN | k-GNN | CL | CL+FCM | CL+T | CL+FCM+T
  nb101 in-domain: .934±.003 .834±.002 .918±.002 .732±.034 .735±.035 .814±.020 .874±.009 .896±.003 .921±.003 .930±.002
table 4 mae: k-GNN | CL | CL+T | CL+FCM+T
  nb101 in-domain: 1.61 1.51 .65 .59
  nb201 fine-tuned: 1.80 2.81 1.93 2.05
  nb301 fine-tuned: .46 .85 .43 .57
  proxyless fine-tuned: .56 .40 .35 .33
  ofa_mbv3 fine-tuned: .61 .35 .31 .27
  ofa_resnet fine-tuned: .40 .44 .45 .37
  hiaml fine-tuned: .35 .45 .40 .39
  inception fine-tuned: .60 .82 .71 .86
  two_path fine-tuned: .80 1.11 .71 .72
table 5 srcc: k-GNN | GENNAPE
  nb201 zero-shot: .4930 .8146
  nb201 fine-tuned: .8606±.0245 .9103±.0114
  nb301 zero-shot: .0642 .3214
  nb301 fine-tuned: .8584±.0290 .8825±.0134
  proxyless zero-shot: .0703 .8213
  proxyless fine-tuned: .7559±.0621 .9506±.0039
  ofa_mbv3 zero-shot: .4345 .8660
  ofa_mbv3 fine-tuned: .6862±.0253 .9449±.0015
  ofa_resnet zero-shot: .5721 .5115
  ofa_resnet fine-tuned: .9102±.0146 .9114±.0063
  hiaml zero-shot: -.1211 .4331
  hiaml fine-tuned: .4300±.0507 .4169±.0479
  inception zero-shot: -.2045 .4249
  inception fine-tuned: .3340±.0793 .5524±.0166
  two_path zero-shot: .1970 .3413
  two_path fine-tuned: .3694±.0406 .4875±.0311
table 6 ndcg@10: k-GNN | GENNAPE
  nb201 zero-shot: .9270 .9793
  nb201 fine-tuned: .9751±.0082 .9855±.0030
  nb301 zero-shot: .5341 .7885
  nb301 fine-tuned: .9723±.0134 .9765±.0081
  proxyless zero-shot: .4426 .8736
  proxyless fine-tuned: .9287±.0271 .9800±.0057
  ofa_mbv3 zero-shot: .8464 .9234
  ofa_mbv3 fine-tuned: .8859±.0536 .9838±.0030
  ofa_resnet zero-shot: .9470 .6606
  ofa_resnet fine-tuned: .9717±.0090 .9463±.0236
  hiaml zero-shot: .5088 .6892
  hiaml fine-tuned: .7356±.0371 .7804±.0211
  inception zero-shot: .6064 .8150
  inception fine-tuned: .7310±.0423 .8073±.0072
  two_path zero-shot: .6339 .8275
  two_path fine-tuned: .7860±.0268 .8392±.0220
table 8 srcc: k-GNN | CL | CL+T | CL+FCM+T | CL+Pairwise | CL+FCM+Pairwise | GENNAPE
  nb201 zero-shot: .4930 .8520 .7834 .7647 .8151 .8503 .8146
  nb201 fine-tuned: .8606±.0245 .7892±.0715 .8309±.0410 .8281±.0181 .8897±.0153 .8896±.0179 .9103±.0114
  nb301 zero-shot: .0642 -.5250 -.1689 .1349 -.0702 -.2462 .3214
  nb301 fine-tuned: .8584±.0290 .6354±.0929 .7665±.0318 .7227±.0275 .8301±.0335 .8445±.0093 .8825±.0134
  proxyless zero-shot: .0703 .0138 .8782 .8068 .4424 .3489 .8213
  proxyless fine-tuned: .7559±.0621 .9209±.0009 .9281±.0028 .9322±.0078 .9429±.0010 .9447±.0064 .9506±.0039
  ofa_mbv3 zero-shot: .4345 .5205 .7122 .8713 .5350 .5515 .8660
  ofa_mbv3 fine-tuned: .6862±.0253 .9182±.0070 .9302±.0021 .9264±.0050 .9356±.0062 .9369±.0080 .9449±.0015
  ofa_resnet zero-shot: .5721 -.6963 -.6035 -.7766 -.3541 -.5278 .5115
  ofa_resnet fine-tuned: .9102±.0146 .8588±.0133 .8187±.0367 .8350±.0283 .8785±.0207 .8737±.0132 .9114±.0063
  hiaml zero-shot: -.1211 .4373 .4043 .4511 .3958 .4167 .4331
  hiaml fine-tuned: .4300±.0507 .2259±.1753 .2706±.0805 .2779±.0545 .3062±.1187 .3266±.0701 .4169±.0479
  inception zero-shot: -.2045 .1843 .3439 .4429 .3038 .3487 .4249
  inception fine-tuned: .3340±.0793 .4771±.0639 .5144±.0448 .4569±.0547 .3554±.0759 .3654±.0825 .5524±.0166
  two_path zero-shot: .1970 .0106 .3205 .3130 .1843 .2866 .3413
  two_path fine-tuned: .3694±.0406 .3046±.0977 .4412±.0591 .4331±.0584 .3251±.1179 .3432±.0924 .4875±.0311
table 9 kendall: k-GNN | CL | CL+T | CL+FCM+T | CL+Pairwise | CL+FCM+Pairwise | GENNAPE
  nb201 zero-shot: .3382 .6554 .5855 .5719 .6253 .6572 .6202
  nb201 fine-tuned: .6772±.0100 .6004±.0739 .6430±.0445 .6376±.0205 .7137±.0209 .7121±.0244 .7415±.0180
  nb301 zero-shot: .0431 -.3670 -.1122 .0921 -.0484 -.1673 .2183
  nb301 fine-tuned: .7125±.0143 .4644±.0753 .5767±.0315 .5340±.0257 .6474±.0346 .6614±.0100 .7075±.0171
  proxyless zero-shot: .0473 .0095 .6999 .6174 .3057 .2375 .6299
  proxyless fine-tuned: .5927±.0421 .7593±.0137 .7711±.0034 .7796±.0115 .7978±.0176 .8006±.0122 .8135±.0074
  ofa_mbv3 zero-shot: .2995 .3637 .5221 .6892 .3737 .3900 .6832
  ofa_mbv3 fine-tuned: .5016±.0128 .7564±.0114 .7754±.0036 .7689±.0082 .7843±.0112 .7868±.0146 .8024±.0027
  ofa_resnet zero-shot: .4095 -.5054 -.4320 -.5858 -.2565 -.3549 .3559
  ofa_resnet fine-tuned: .7437±.0139 .6760±.0155 .6302±.0374 .6466±.0327 .6997±.0247 .6897±.0139 .7457±.0092
  hiaml zero-shot: -.0813 .3030 .2809 .3166 .2726 .2880 .3040
  hiaml fine-tuned: .2875±.0581 .1629±.1195 .1940±.0539 .1988±.0360 .2104±.0828 .2240±.0488 .2913±.0352
  inception zero-shot: -.1383 .1244 .2356 .3059 .2047 .2400 .2935
  inception fine-tuned: .2082±.0352 .3335±.0453 .3627±.0337 .3212±.0404 .2424±.0544 .2516±.0572 .3911±.0137
  two_path zero-shot: .1397 .0753 .2314 .2257 .1306 .2047 .2323
  two_path fine-tuned: .2232±.0432 .2115±.0670 .3094±.0430 .3033±.0420 .2222±.0824 .2342±.6370 .3389±.0230
table 10 ndcg@50: k-GNN | CL | CL+T | CL+FCM+T | CL+Pairwise | CL+FCM+Pairwise | GENNAPE
  nb201 zero-shot: .9495 .9848 .9859 .9847 .9793 .9872 .9836
  nb201 fine-tuned: .9819±.0056 .9434±.0214 .9822±.0063 .9848±.0040 .9916±.0022 .9907±.0052 .9885±.0025
  nb301 zero-shot: .7331 .4175 .6311 .7930 .7235 .5218 .8184
  nb301 fine-tuned: .9725±.0043 .8912±.0480 .9085±.0430 .9179±.0357 .9302±.0690 .9664±.0102 .9764±.0045
  proxyless zero-shot: .6296 .5264 .9637 .9343 .8935 .6982 .9099
  proxyless fine-tuned: .9225±.0063 .9619±.0031 .9771±.0061 .9755±.0097 .9757±.0082 .9769±.0046 .9836±.0037
  ofa_mbv3 zero-shot: .8607 .8893 .9268 .9397 .8422 .9182 .9433
  ofa_mbv3 fine-tuned: .8854±.0203 .9653±.0028 .9691±.0018 .9660±.0053 .9644±.0186 .9691±.0110 .9778±.0018
  ofa_resnet zero-shot: .8789 .3144 .2167 .3494 .3583 .4344 .7007
  ofa_resnet fine-tuned: .9746±.0073 .9491±.0210 .9245±.0252 .9077±.0295 .9520±.0096 .9222±.0422 .9531±.0169
  hiaml zero-shot: .5097 .7534 .7681 .7657 .7567 .7470 .7173
  hiaml fine-tuned: .7505±.0380 .6847±.0893 .6903±.0550 .7172±.0411 .7562±.0369 .7570±.0284 .7938±.0144
  inception zero-shot: .6196 .7943 .8607 .8270 .8240 .8386 .8391
  inception fine-tuned: .7929±.0265 .8515±.0287 .8230±.0206 .8201±.0133 .7843±.0194 .8019±.0340 .8452±.0089
  two_path zero-shot: .6930 .6722 .7886 .7654 .7272 .7392 .8115
  two_path fine-tuned: .7860±.0268 .7839±.0436 .8334±.0304 .8326±.0281 .7921±.0514 .7888±.0435 .8454±.0185
table 10 ndcg@10: k-GNN | CL | CL+T | CL+FCM+T | CL+Pairwise | CL+FCM+Pairwise | GENNAPE
  nb201 zero-shot: .9270 .9845 .9856 .9868 .9755 .9858 .9793
  nb201 fine-tuned: .9751±.0082 .9362±.0298 .9818±.0063 .9834±.0054 .9910±.0023 .9902±.0063 .9855±.0030
  nb301 zero-shot: .5341 .3278 .6411 .7737 .7260 .4046 .7885
  nb301 fine-tuned: .9723±.0134 .8767±.0674 .8979±.0518 .8961±.0710 .9150±.0883 .9666±.0102 .9765±.0081
  proxyless zero-shot: .4426 .4668 .9564 .9003 .9326 .4849 .8736
  proxyless fine-tuned: .9287±.0271 .9424±.0045 .9759±.0075 .9716±.0144 .9663±.0172 .9752±.0073 .9800±.0057
  ofa_mbv3 zero-shot: .8464 .9092 .9252 .9270 .8067 .9079 .9234
  ofa_mbv3 fine-tuned: .8859±.0536 .9558±.0046 .9636±.0070 .9620±.0100 .9596±.0253 .9697±.0132 .9838±.0030
  ofa_resnet zero-shot: .9470 .2515 .2018 .3036 .3066 .3859 .6606
  ofa_resnet fine-tuned: .9717±.0090 .9416±.0213 .9174±.0333 .8932±.0321 .9465±.0140 .9129±.0422 .9463±.0236
  hiaml zero-shot: .5088 .7745 .7925 .7197 .7498 .7288 .6892
  hiaml fine-tuned: .7356±.0371 .6743±.0848 .6721±.0703 .7150±.0519 .7470±.0449 .7527±.0444 .7804±.0211
  inception zero-shot: .6064 .8241 .8666 .7540 .8736 .7834 .8150
  inception fine-tuned: .7310±.0423 .8283±.0312 .7808±.0369 .7605±.0276 .7113±.0445 .7510±.0550 .8073±.0072
  two_path zero-shot: .6339 .6496 .7993 .7944 .7223 .7278 .8275
  two_path fine-tuned: .7860±.0268 .7839±.0436 .8334±.0304 .8326±.0281 .7921±.0514 .7888±.0434 .8392±.0220
"""


def _read(text: str) -> dict[Cell, Figure]:
    figures: dict[Cell, Figure] = {}
    for line in text.strip().splitlines():
        head, _, values = line.partition(": ")
        if head.startswith("table "):
            _, number, measure = head.split()
            methods = values.split(" | ")
            continue
        family, setting = head.split()
        for method, value in zip(methods, values.split(), strict=True):
            mean, *sd = (float(part) / (100 if measure == "mae" else 1) for part in value.split("±"))
            figures[Cell(int(number), measure, family, setting, method)] = Figure(mean, sd[0] if sd else None)
    return figures


PAPER = _read(_PRINTED)
"""Every figure of tables 1, 3, 4, 5, 6, 8, 9 and 10; `mae` as a fraction."""
