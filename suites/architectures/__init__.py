"""Networks that many tools know, drawn as graphs; small ones first."""

from harness import Architecture
from suites.architectures.alexnet import ALEXNET_GROUPED, ALEXNET_ONE_TOWER
from suites.architectures.block import BLOCK
from suites.architectures.dcgan import DCGAN_GENERATOR
from suites.architectures.deeplab import DEEPLABV3_RESNET50
from suites.architectures.inception import GOOGLENET_V1, INCEPTION_V3, INCEPTION_V4
from suites.architectures.inception_resnet import INCEPTION_RESNET_V2
from suites.architectures.lenet import LENET5
from suites.architectures.resnet import RESNETS
from suites.architectures.unet import UNET

ARCHITECTURES: tuple[Architecture, ...] = (
    LENET5,
    BLOCK,
    DCGAN_GENERATOR,
    ALEXNET_GROUPED,
    ALEXNET_ONE_TOWER,
    GOOGLENET_V1,
    *RESNETS,
    INCEPTION_V3,
    INCEPTION_V4,
    INCEPTION_RESNET_V2,
    UNET,
    DEEPLABV3_RESNET50,
)
